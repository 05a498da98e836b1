from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.collect.rig import Running


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with Running() as running:
        yield running
