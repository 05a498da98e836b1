"""A tap saved as a recording: each event once, after an update with what was known of its user."""

from __future__ import annotations

import os
import secrets
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path

import orjson

from pipeline.model.errors import Fatal, UsageError, reason
from pipeline.model.files.disk import append_all
from pipeline.model.json import Value
from pipeline.operate.cases.seen import known_before, update_of
from pipeline.sources.files.lines.recorded import Message, dump_line

SUFFIX = ".rec.jsonl"
REMEMBERED = 100_000
"""Events, and users, that are remembered as written."""


class TapRecording:
    """A growing file that only its owner may read.

    Events keep their origins, so that a replay yields the webhook-ids of the live run. Raises UsageError
    where the file has the wrong suffix or already exists.
    """

    def __init__(self, path: Path) -> None:
        if not path.name.endswith(SUFFIX):
            raise UsageError(f"{path}: a recording is known by its name: call it NAME{SUFFIX}")
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            raise UsageError(f"{path}: there is such a file already: name another one") from None
        self._path = path
        self._own = f"tap-{secrets.token_hex(4)}/0"
        self._number = 0
        self._written: OrderedDict[str, None] = OrderedDict()
        self._users: OrderedDict[str, dict[str, Value]] = OrderedDict()
        self.events = 0

    def add(self, line: Mapping[str, Value]) -> None:
        """Write the record of a line, if it shows one. Raises Fatal where the disk fails."""
        record, raw = line.get("record"), line.get("raw")
        if not isinstance(record, dict) and not isinstance(raw, str):
            return
        origin = str(line.get("origin", ""))
        if origin in self._written:
            return
        _remember(self._written, origin, None)
        texts: list[bytes] = []
        value, received_at = str(raw).encode(), None
        if isinstance(record, dict):
            known, received_at = known_before(record, line), record.get("received_at")
            texts += [] if known is None else self._user(record, known)
            value = orjson.dumps(update_of(record) if record.get("kind") == "update" else record)
        texts.append(self._line(value, received_at, origin))
        try:
            append_all(self._file, b"".join(texts))
        except OSError as error:
            raise Fatal(f"cannot write {self._path}: {reason(error)}") from None
        self.events += 1

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _line(self, value: bytes, received_at: int | None, origin: str = "") -> bytes:
        source, offset = _place(origin)
        if source is None:
            self._number += 1
            source, offset = self._own, self._number
        return dump_line(Message(source, offset, received_at, None, None, value))

    def _user(self, record: Mapping[str, Value], known: dict[str, Value]) -> list[bytes]:
        """Return an update with what is known, if that differs from what was last written."""
        ids = {name: record[name] for name in ("user_id", "anonymous_id") if name in record}
        key = orjson.dumps(ids).decode()
        before = self._users.get(key, {})
        if known == before:
            return []
        _remember(self._users, key, known)
        # For an event of a known user, the anonymous id belongs to another origin.
        who = {"user_id": ids["user_id"]} if "user_id" in ids else ids
        gone = [name for name in before if name not in known]
        update = {"type": "user", **who, "set": known, "unset": gone}
        if "time" in record:
            update["time"] = record["time"]
        return [self._line(orjson.dumps(update), record.get("received_at"))]


def _place(origin: str) -> tuple[str | None, int]:
    """Return source and offset of an origin; None inside an envelope: members get lines of their own."""
    source, _, offset = origin.rpartition(":")
    return (source, int(offset)) if source and offset.isdecimal() else (None, 0)


def _remember(known: OrderedDict[str, Value], key: str, value: Value) -> None:
    known[key] = value
    if len(known) > REMEMBERED:
        known.popitem(last=False)
