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
        if isinstance(record, dict) and isinstance(line.get("known"), dict):
            texts += self._user(record, _known(record, line["known"], line.get("before")))
        value = orjson.dumps(record) if isinstance(record, dict) else str(raw).encode()
        if isinstance(record, dict) and record.get("kind") == "update":
            value = _update(record)
        received_at = record.get("received_at") if isinstance(record, dict) else None
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
    """Return source and offset of an origin as text; None inside an envelope, whose members get lines of
    their own here.
    """
    source, _, offset = origin.rpartition(":")
    return (source, int(offset)) if source and offset.isdecimal() else (None, 0)


def _known(record: Mapping[str, Value], known: dict[str, Value], before: Value) -> dict[str, Value]:
    """Return what was known of a user before a record; for a property change, before the change."""
    if record.get("kind") != "update":
        return known
    changed = record.get("properties", {})
    return {name: value for name, value in known.items() if name not in changed} | (before or {})


def _update(record: Mapping[str, Value]) -> bytes:
    """Return the update that caused a property change."""
    changed = record.get("properties", {})
    fields = {name: record[name] for name in ("id", "user_id", "anonymous_id", "time") if name in record}
    return orjson.dumps(
        {
            "type": "user",
            **fields,
            "set": {name: value for name, value in changed.items() if value is not None},
            "unset": [name for name, value in changed.items() if value is None],
        }
    )


def _remember(known: OrderedDict[str, Value], key: str, value: Value) -> None:
    known[key] = value
    if len(known) > REMEMBERED:
        known.popitem(last=False)
