"""The broker that all tests of this folder share, and small helpers to fill and read topics.

It ends with the last of them: a broker that nobody uses takes CPU, too.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import NoReturn

import pytest

from pipeline.sources.reader import Reader
from pipeline.telemetry import metrics
from tests.kafka.servers.broker import Broker, NoBroker
from tests.kafka.servers.secured import PASSWORD, USER, Security
from tests.kafka.servers.topics import Tap, Topics

REQUIRED = os.environ.get("CI") == "true" and "kafka" not in os.environ.get("HOOKLINE_ALLOW_SKIP", "").split(
    ","
)


def do_without(what: str, reason: Exception) -> NoReturn:
    """Skip what cannot be tried on this machine; where it must be (CI), fail."""
    text = f"no {what} for this test: {reason}"
    if REQUIRED:
        pytest.fail(f"{text} (HOOKLINE_ALLOW_SKIP=kafka allows that)", pytrace=False)
    pytest.skip(text)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "broker" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.kafka)


@pytest.fixture(scope="package")
def security(tmp_path_factory: pytest.TempPathFactory) -> Security:
    """What the broker's secured listeners want of their clients."""
    return Security.make(tmp_path_factory.mktemp("security"))


@pytest.fixture(scope="package")
def broker(tmp_path_factory: pytest.TempPathFactory, security: Security) -> Iterator[Broker]:
    """A real broker: HOOKLINE_TEST_KAFKA=host:port, or one started here for this run."""
    named = os.environ.get("HOOKLINE_TEST_KAFKA")
    if named:
        given = Broker(named)
        given.wait_ready()
        yield given
        return
    try:
        own = Broker.create(
            tmp_path_factory.mktemp("kafka"),
            properties=security.properties,
            more=security.ports,
            scram={USER: PASSWORD},
        )
    except NoBroker as reason:
        do_without("Kafka broker", reason)
    yield own
    own.stop()


@pytest.fixture
def topics(broker: Broker) -> Topics:
    return Topics(broker)


@pytest.fixture
def secured(broker: Broker, topics: Topics, security: Security) -> Security:
    """The secured listeners of the broker, which is then one of our own."""
    if not broker.owned:
        pytest.skip("a broker that is not ours has no listeners that we know how to enter")
    return security


@pytest.fixture
def tap() -> Iterator[Callable[[Reader], Tap]]:
    """Makes taps, and closes their readers when the test ends."""
    readers: list[Reader] = []

    def make(reader: Reader) -> Tap:
        readers.append(reader)
        return Tap(reader)

    yield make
    for reader in readers:
        reader.close()


@pytest.fixture(autouse=True)
def _fresh_metrics() -> Iterator[None]:
    metrics.reset()
    yield
    metrics.reset()
