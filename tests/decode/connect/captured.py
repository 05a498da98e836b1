"""What Debezium has really written (tests/cdc/capture.py), and the tables behind it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import zstandard

from pipeline.decode.connect.debezium import Table
from pipeline.decode.decode import decode
from pipeline.join.users import Users
from pipeline.model.json import Json
from pipeline.model.records import Origin, PropertyUpdate, Record
from pipeline.sources.files.lines.recorded import Message, parse_line
from pipeline.store.memory import MemoryRows

FOLDER = Path(__file__).with_name("captured")
PLAIN = Table()


@cache
def messages(connector: str, table: str = "users") -> list[Message]:
    """Return what a connector wrote of a table, in order."""
    path = FOLDER / f"{connector}.rec.jsonl"
    content = (
        path.read_bytes()
        if path.exists()
        else zstandard.ZstdDecompressor().decompress(path.with_name(f"{path.name}.zst").read_bytes(), 1 << 24)
    )
    found = [parse_line(line) for line in content.splitlines()]
    return [message for message in found if message.source.split("/")[0].endswith(table)]


@cache
def rows(table: str) -> list[dict[str, Any]]:
    """Return the rows of a table at the end; fractions as Decimal."""
    found: list[dict[str, Any]] = json.loads((FOLDER / "rows.json").read_text(), parse_float=Decimal)[table]
    return found


def read(message: Message, table: Table = PLAIN) -> list[Record]:
    """Return the records of a message."""
    topic, _, _ = message.source.partition("~")
    origin = Origin(topic, message.offset)
    return decode(
        message.value, format=table.shape, origin=origin, received_at=message.time, headers=message.headers,
        key=message.key,
    )  # fmt: skip


def profiles(records: Iterable[Record]) -> dict[str, dict[str, Json]]:
    """Return what is known of each user once the records are applied; anything but an update fails."""
    users = Users(MemoryRows())
    seen: dict[str, None] = {}
    for record in records:
        assert isinstance(record, PropertyUpdate), record
        assert record.user_id is not None
        users.apply(f"u:{record.user_id}", record, "kafka-0")
        seen[record.user_id] = None
    found = {user_id: users.get(f"u:{user_id}") for user_id in seen}
    return {user_id: known for user_id, known in found.items() if known}


def is_same(value: Json, truth: Any) -> bool:
    """Return whether a property says what PostgreSQL says of the column (as its row_to_json writes it)."""
    if value == truth and type(value) is type(truth):
        return True
    match value, truth:
        case (bool(), _) | (_, bool()) | (None, _) | (_, None):
            return False
        case (int() | float() | str(), int() | Decimal()):
            try:
                return Decimal(str(value)) == truth
            except ArithmeticError:
                return False
        case [*ones], [*truths]:
            return len(ones) == len(truths) and all(map(is_same, ones, truths))
        case dict(), dict():
            return value.keys() == truth.keys() and all(
                is_same(one, truth[name]) for name, one in value.items()
            )
        case str(), str():
            return _is_same_text(value, truth)
        case int(), str():
            # Durations and what no calendar of ours has (BC, infinity) stay numbers.
            return "day" in truth or "BC" in truth or "infinity" in truth
    return False


def _is_same_text(value: str, truth: str) -> bool:
    if truth.startswith("\\x"):
        whole = bytes.fromhex(truth[2:])
        return value in (base64.b64encode(whole).decode(), whole.hex())
    if truth and not truth.strip("01"):
        return int(truth, 2) == int.from_bytes(base64.b64decode(value), "little")
    if "infinity" in truth:
        return value == truth or value.endswith("Z")
    try:
        return _moment(value) == _moment(truth)
    except ValueError:
        return False


def _moment(text: str) -> datetime:
    """Return a time or a time of day as UTC; without a zone it is UTC already, as Debezium takes it."""
    if "-" not in text[:10]:
        text = f"2026-01-02T{text}"
    if text[-3] in "+-":
        text += ":00"
    at = datetime.fromisoformat(text)
    offset = at.utcoffset()
    return at.replace(tzinfo=None) if offset is None else at.replace(tzinfo=None) - offset
