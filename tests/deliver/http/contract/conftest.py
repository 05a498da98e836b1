"""What the tests of both HTTP clients share."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.deliver.http.resolve import system_lookup
from tests.kit.delivery.rig import LOOPBACK
from tests.kit.delivery.sending import Act, with_a_client
from tests.kit.receivers.certificates import Certificates


@pytest.fixture(params=["native", "aiohttp"])
def client(request: pytest.FixtureRequest) -> Any:
    """Return what runs a test's coroutine with a client of this kind."""

    def run(
        act: Act, allow: tuple[str, ...] = LOOPBACK, lookup: Any = system_lookup, idle_secs: float = 30.0
    ) -> None:
        with_a_client(act, request.param, allow, lookup, idle_secs)

    run.name = request.param  # type: ignore[attr-defined]  # read by the tests that differ
    return run


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates.make(tmp_path_factory.mktemp("tls"))
