"""What one undisturbed process sends for the shop: what every other way of running it must send too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.receiver.server import Receiver
from tests.kit.programs.jobs import totals
from tests.runtime.scale.shop import Undisturbed, open_shop, sent


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver({"*": [200]}) as receiver:
        yield receiver


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Undisturbed:
    """The shop's requests: their URLs name the receiver, so all tests of a module share one."""
    receiver.answer({"*": [200]})
    receiver.requests.clear()
    bench = open_shop(tmp_path_factory.mktemp("undisturbed") / "shop", receiver)
    bench.run()
    found = sent(receiver.requests)
    assert set(found.values()) == {1}
    assert {path for _, path, _ in found} == {"/joined", "/changed", "/limited"}
    return Undisturbed(frozenset(found), totals(bench))


@pytest.fixture(autouse=True)
def _fresh(receiver: Receiver) -> None:
    receiver.answer({"*": [200]})
    receiver.requests.clear()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "shop"
