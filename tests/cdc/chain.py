"""PostgreSQL, a broker, and Kafka Connect with Debezium between them: what the rest of this folder uses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.cdc.connect import Connect
from tests.cdc.postgres import Postgres
from tests.cdc.topics import Written
from tests.kafka.servers.broker import Broker


@dataclass(slots=True)
class Chain:
    """All three, running."""

    directory: Path
    postgres: Postgres
    broker: Broker
    connect: Connect
    written: Written


@contextmanager
def chain(
    directory: Path,
    connectors: Mapping[str, Mapping[str, str]],
    *statements: str,
) -> Iterator[Chain]:
    """Start all three and stop them in the end.

    statements: run before the connectors begin, so that their rows are in the snapshot. Raises NoPostgres,
    NoBroker and NoConnect.
    """
    with ExitStack() as stack:
        postgres = Postgres.create()
        stack.callback(postgres.close)
        broker = Broker.create(directory / "kafka")
        stack.callback(broker.stop)
        if statements:
            postgres.sql(*statements)
        connect = Connect.start(directory / "connect", broker, postgres, connectors)
        stack.callback(connect.close)
        written = Written(broker)
        stack.callback(written.close)
        yield Chain(directory, postgres, broker, connect, written)
