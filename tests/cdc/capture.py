"""Write what Debezium makes of the story into tests/decode/connect/captured/ (python -m tests.cdc.capture).

One file per connector, a line per message as ``hookline record`` writes them, and ``rows.json``: the tables
as PostgreSQL has them at the end.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import zstandard

from pipeline.sources.files.lines.recorded import Message, dump_line
from tests.cdc import story
from tests.cdc.chain import chain
from tests.cdc.postgres import Postgres
from tests.cdc.topics import Written

OUT = Path(__file__).resolve().parents[1] / "decode" / "connect" / "captured"
TABLES = ("users", "members", "accounts", "altered", "wide")


def capture(out: Path) -> None:
    """Run the story once and write all files."""
    out.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as scratch,
        chain(Path(scratch), story.CONNECTORS, *story.TABLES, *story.BEFORE) as one,
    ):
        wait_for_snapshots(one.written)
        one.postgres.sql(*story.AFTER, "INSERT INTO marks VALUES (1)")
        wait_for_marks(one.written)
        for name in story.CONNECTORS:
            write(out, name, b"".join(lines(one.written, name)))
        tables = [f'"{table}": [\n{rows_of(one.postgres, table)}\n]' for table in TABLES]
        (out / "rows.json").write_text("{" + ",\n".join(tables) + "}\n")


def write(out: Path, name: str, content: bytes) -> None:
    """Write the file of a connector; a schema beside each message is worth packing."""
    if story.CONNECTORS[name]["value.converter.schemas.enable"] == "true":
        (out / f"{name}.rec.jsonl.zst").write_bytes(zstandard.ZstdCompressor(19).compress(content))
    else:
        (out / f"{name}.rec.jsonl").write_bytes(content)


def wait_for_snapshots(written: Written) -> None:
    """Return when every connector has written the rows of the tables as they were."""
    topics = [f"{name}.public.accounts" for name in story.CONNECTORS]
    written.until(lambda: {*topics} <= sources(written), "the snapshots", *topics)


def wait_for_marks(written: Written) -> None:
    """Return when every connector has written all that was committed before the mark."""
    topics = [f"{name}.public.marks" for name in story.CONNECTORS]
    written.until(lambda: {*topics} <= sources(written), "the marks", *topics)
    every = [topic for name in story.CONNECTORS for topic in written.topics(name)]
    written.follow(*every)
    while not all("heartbeat" in message.source for message in written.poll(2.0)):
        pass


def sources(written: Written) -> set[str]:
    """Return the topics from which something has come."""
    return {message.source.split("/")[0] for message in written.messages}


def lines(written: Written, name: str) -> list[bytes]:
    """Return the recorded lines of a connector, its topics one after the other."""
    kept: dict[str, list[Message]] = {}
    for message in written.messages:
        topic = message.source.split("/")[0]
        if not topic.startswith((f"{name}.", f"__debezium-heartbeat.{name}")) or topic.endswith(".marks"):
            continue
        if name not in story.FULL and not topic.endswith(".users"):
            continue
        messages = kept.setdefault(topic, [])
        if "heartbeat" not in topic or len(messages) < 2:
            messages.append(message)
    return [dump_line(message) for topic in sorted(kept) for message in kept[topic]]


def rows_of(postgres: Postgres, table: str) -> str:
    """Return the rows of a table as PostgreSQL writes them in JSON, digit for digit."""
    return ",\n".join(postgres.sql(f"SELECT row_to_json(t) FROM {table} t ORDER BY 1::text"))


if __name__ == "__main__":
    capture(OUT)
