"""The lines of a recording made by ``hookline record``: a message and where it came from.

    {"hookline":1,"source":"events/0","offset":42,"time":1795445400123,"key":"u1",
     "headers":[["ce_id","x"]],"value":{...}}

One line is one message. ``source`` and ``offset`` are its origin (topic/partition and offset), ``time`` the
broker's timestamp in unix milliseconds or null. ``value`` is the message as it was, byte for byte, where it
is JSON on one line; else ``value_base64`` holds it, and ``"value":null`` is a tombstone (the JSON text
``null`` comes as base64). Keys and header values are text, or ``{"base64": ..}`` where they are not UTF-8, or
null. ``"dead"``, in records that nobody could read, is the state directory out of whose dead letters they
were written: who reads them joins them with what is known there.
"""

from __future__ import annotations

import base64
from typing import Any, NamedTuple

import msgspec
import orjson

from pipeline.model.errors import ConfigError, InvalidRecord
from pipeline.sources.chunk import Headers

PREFIX = b'{"hookline":1,'

NAMES = (".rec.jsonl", ".rec.jsonl.gz", ".rec.jsonl.zst")
"""Suffixes of a recording: anybody can write a line that looks like one."""


class Message(NamedTuple):
    """One recorded message. ``value`` None is a tombstone."""

    source: str
    offset: int
    time: int | None
    key: bytes | None
    headers: Headers | None
    value: bytes | None


_new = tuple.__new__  # half the time of Message(...)


class _Line(msgspec.Struct, gc=False):
    hookline: int
    source: str
    offset: int
    time: int | None = None
    key: str | dict[str, str] | None = None
    headers: list[tuple[str, str | dict[str, str] | None]] | None = None
    value: msgspec.Raw = msgspec.Raw(b"null")
    value_base64: str | None = None
    dead: str | None = None


_DECODER = msgspec.json.Decoder(_Line)


def dump_line(message: Message, *, dead: str | None = None) -> bytes:
    """Return the line of a message, with its line end. dead: whose dead letter it was, if it was one."""
    fields: dict[str, Any] = {
        "hookline": 1,
        **({} if dead is None else {"dead": dead}),
        "source": message.source,
        "offset": message.offset,
        "time": message.time,
    }
    if message.key is not None:
        fields["key"] = _text(message.key)
    if message.headers:
        fields["headers"] = [
            [name, None if value is None else _text(value)] for name, value in message.headers
        ]
    head = orjson.dumps(fields)[:-1]
    value = message.value
    if value is None:
        return head + b',"value":null}\n'
    if value != b"null" and b"\n" not in value and b"\r" not in value and _is_utf8(value):
        line = head + b',"value":' + value + b"}"
        # The value may be anything: it is embedded only if the line reads back as the same bytes.
        try:
            if parse_line(line) == message:
                return line + b"\n"
        except InvalidRecord:
            pass
    return head + b',"value_base64":"' + base64.b64encode(value) + b'"}\n'


def parse_line(line: bytes) -> Message:
    """Return the message in a line. Raises InvalidRecord where the line is damaged."""
    try:
        read = _DECODER.decode(line)
        if read.hookline != 1:
            raise InvalidRecord(f"the recorded line has the version {read.hookline}, 1 is known")
        raw = bytes(read.value)
        value: bytes | None = None if raw == b"null" else raw
        if read.value_base64 is not None:
            value = base64.b64decode(read.value_base64, validate=True)
        # Nearly all of them are texts: a call for each would take most of the time here.
        headers: Headers | None = None
        if read.headers:
            headers = [
                (name, text.encode() if type(text) is str else None if text is None else _bytes(text))
                for name, text in read.headers
            ]
        by = read.key
        key = by.encode() if type(by) is str else None if by is None else _bytes(by)
    except (msgspec.DecodeError, ValueError, RecursionError, KeyError) as error:
        raise InvalidRecord(f"the recorded line is damaged: {error}") from None
    return _new(Message, (read.source, read.offset, read.time, key, headers, value))


def died_in(line: bytes) -> str | None:
    """Return the state directory from which a dead record was written; None for any other line."""
    try:
        return _DECODER.decode(line).dead
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None


def is_recording(name: str) -> bool:
    """Return whether a file is a recording, by its name."""
    return name.endswith(NAMES)


def refuse_unnamed(path: str, line: bytes) -> None:
    """Raise ConfigError where the first line of a file not named like a recording is one of a recording.

    Older versions accepted that. As plain lines they would be unreadable records.
    """
    if not line.startswith(PREFIX):
        return
    try:
        parse_line(line)
    except InvalidRecord:
        return
    raise ConfigError(
        f"{path}: it holds recorded messages, but a recording is known by its name (*.rec.jsonl, "
        "*.rec.jsonl.gz, *.rec.jsonl.zst) or by `format: recording` in `source.jsonl`: rename it, or say so"
    )


def _is_utf8(value: bytes) -> bool:
    # msgspec does not validate text; for every other reader a line that is not UTF-8 is not JSON.
    try:
        return value.isascii() or value.decode() is not None
    except UnicodeDecodeError:
        return False


def _text(value: bytes) -> str | dict[str, str]:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}


def _bytes(text: str | dict[str, str]) -> bytes:
    return text.encode() if type(text) is str else base64.b64decode(text["base64"], validate=True)  # type: ignore[index]  # a dict here
