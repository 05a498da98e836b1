"""The broker that all tests of this folder share, and small helpers to fill and read topics."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from broker import Broker, NoBroker

REQUIRED = os.environ.get("CI") == "true" and "kafka" not in os.environ.get("HOOKLINE_ALLOW_SKIP", "").split(
    ","
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # One worker of pytest-xdist runs them all, so that one broker is enough.
    for item in items:
        if "broker" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.kafka)
            item.add_marker(pytest.mark.xdist_group("kafka"))


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A real broker: HOOKLINE_TEST_KAFKA=host:port, or one started here for this run."""
    named = os.environ.get("HOOKLINE_TEST_KAFKA")
    if named:
        given = Broker(named)
        given.wait_ready()
        yield given
        return
    try:
        own = Broker.create(tmp_path_factory.mktemp("kafka"))
    except NoBroker as reason:
        text = f"no Kafka broker for this test: {reason}"
        if REQUIRED:
            pytest.fail(f"{text} (HOOKLINE_ALLOW_SKIP=kafka allows that)", pytrace=False)
        pytest.skip(text)
    yield own
    own.stop()
