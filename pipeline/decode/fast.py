"""Two-stage parse: events that no webhook can want are recognised by a few fields and not parsed further.

``scan`` gives what ``decode`` and a filter would give, in the same order and with the same counts. The first
stage only ever answers "surely a good event that is not wanted"; every line it is not sure of goes to
``decode``. What it does not look into, it still checks as `decode` does: UTF-8, surrogates, nesting, integers
beyond 64 bits. One difference is accepted: a number beyond a double, such as 1e999, inside what nobody reads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

import msgspec
from msgspec import UNSET, UnsetType

from pipeline.decode import Headers, cloudevents, decode, strict
from pipeline.decode.plain import plain_event
from pipeline.decode.posthog import KINDS, PERSON_CALLS
from pipeline.model.records import Event, IdentityLink, Invalid, Origin, PropertyUpdate, Record

Wants = Callable[[str, str], bool]
"""(event name, kind) -> False where no webhook can want such an event."""


class RawLines(Protocol):
    """What ``scan`` needs of a chunk (sources/chunk.py)."""

    sources: str | list[str]
    offsets: list[int]
    lines: list[bytes | None]
    received: list[int | None] | None
    headers: list[Headers | None] | None
    keys: list[bytes | None] | None
    faults: dict[int, str] | None


@dataclass(slots=True)
class Scanned:
    """The records of a chunk but for unwanted events, and how many there were of each, those included."""

    records: list[Record] = field(default_factory=list)
    read: int = 0
    """Members of envelopes count each; a line that cannot be understood counts as one."""
    events: int = 0
    updates: int = 0
    links: int = 0
    invalid: int = 0


class _Unread(msgspec.Struct, gc=False):
    """An object that is checked and not read."""


class _Properties(msgspec.Struct, gc=False):
    """Properties, with what PostHog keeps in them."""

    distinct_id: Any = UNSET
    set_: Any = msgspec.field(name="$set", default=UNSET)
    set_once: Any = msgspec.field(name="$set_once", default=UNSET)
    unset: Any = msgspec.field(name="$unset", default=UNSET)
    elements: Any = msgspec.field(name="$elements", default=UNSET)
    elements_chain: Any = msgspec.field(name="$elements_chain", default=UNSET)
    device_id: Any = msgspec.field(name="$device_id", default=None)
    lib: Any = msgspec.field(name="$lib", default=None)
    distinct: Any = msgspec.field(name="$distinct_id", default=UNSET)


class _Stub(msgspec.Struct, gc=False):
    type: Any = None
    name: Any = None
    event: Any = None
    kind: Any = None
    user_id: Any = None
    anonymous_id: Any = None
    userId: Any = None
    anonymousId: Any = None
    distinct_id: Any = UNSET
    id: Any = None
    messageId: Any = None
    message_id: Any = None
    uuid: Any = None
    time: Any = None
    timestamp: Any = None
    received_at: Any = None
    receivedAt: Any = None
    now: Any = None
    source: Any = None
    channel: Any = None
    properties: _Properties | None = None
    context: _Unread | None = None
    elements: Any = None
    unusual_version: Any = msgspec.field(name="specversion", default=UNSET)
    unusual_batch: msgspec.Raw | UnsetType = msgspec.field(name="batch", default=UNSET)
    unusual_set: Any = msgspec.field(name="$set", default=UNSET)
    unusual_set_once: Any = msgspec.field(name="$set_once", default=UNSET)
    unusual_unset: Any = msgspec.field(name="$unset", default=UNSET)
    unusual_chain: Any = msgspec.field(name="elements_chain", default=UNSET)


_STUB = msgspec.json.Decoder(_Stub)

_TRIAL = 16
"""After so many lines of a chunk it is decided whether the first look pays."""

_NO_STUB = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def scan(chunk: RawLines, *, format: str = "auto", wants: Wants) -> Scanned:
    """Return the records of a chunk without the events that ``wants`` refuses, and the counts with them.

    About 2 us per refused event. Never raises for any input.
    """
    found = Scanned()
    records = found.records
    lines = chunk.lines
    doubtful = _doubtful(lines)
    judge = _JUDGES.get(format)
    headers = chunk.headers
    faults = chunk.faults or {}
    read_stub = _STUB.decode
    skipped = 0
    may_be_plain = format in ("auto", "native")
    for at, line in enumerate(lines):
        if (
            judge is not None
            and line is not None
            and at not in doubtful
            and at not in faults
            and (headers is None or not _is_binary(headers[at]))
        ):
            try:
                if judge(read_stub(line), wants):
                    skipped += 1
                    continue
            except _NO_STUB:
                pass  # decode says what is wrong with it
            if at >= _TRIAL and skipped * 2 < at:
                # Most of this stream is wanted: the first look costs more than it saves.
                judge = None
        origin = Origin(chunk.sources if type(chunk.sources) is str else chunk.sources[at], chunk.offsets[at])
        if at in faults:
            found.read += 1
            found.invalid += 1
            records.append(Invalid(line or b"", faults[at], origin))
            continue
        received_at = None if chunk.received is None else chunk.received[at]
        if may_be_plain and line is not None and at not in doubtful and not (headers and headers[at]):
            event = plain_event(line, origin, received_at)
            if event is not None:
                found.read += 1
                found.events += 1
                if wants(event.name, event.kind):
                    records.append(event)
                continue
        members = decode(
            line,
            format=format,
            origin=origin,
            received_at=received_at,
            headers=None if headers is None else headers[at],
            key=None if chunk.keys is None else chunk.keys[at],
            is_clean=at not in doubtful,
        )
        _count(found, members, wants)
    found.events += skipped
    found.read += skipped
    return found


def _count(found: Scanned, members: list[Record], wants: Wants) -> None:
    item = -1
    for record in members:
        # A member may give an update and an event: it is read once.
        if record.origin.item != item:
            item = record.origin.item
            found.read += 1
        if type(record) is Event:
            found.events += 1
            if not wants(record.name, record.kind):
                continue
        elif type(record) is PropertyUpdate:
            found.updates += 1
        elif type(record) is IdentityLink:
            found.links += 1
        else:
            found.invalid += 1
        found.records.append(record)


def _doubtful(lines: Sequence[bytes | None]) -> set[int]:
    """Return the lines whose text decode must judge; checked for the whole chunk first, which is cheap."""
    present = [line for line in lines if line is not None]
    text = b"\n".join(present)
    if (
        text.isascii()
        and b"\\ud" not in text
        and b"\\uD" not in text
        and not strict.may_hold_long_integers_somewhere(text)
        and max(map(len, present), default=0) <= strict.SHALLOW_BYTES
    ):
        return set()
    return {at for at, line in enumerate(lines) if line is not None and _is_doubtful(line)}


def _is_doubtful(line: bytes) -> bool:
    if b"\\ud" in line or b"\\uD" in line or strict.may_hold_long_integers(line) or strict.may_be_deep(line):
        return True
    if line.isascii():
        return False
    try:
        line.decode()
    except UnicodeDecodeError:
        return True
    return False


def _is_binary(headers: Headers | None) -> bool:
    return bool(headers) and cloudevents.is_binary(headers)  # type: ignore[arg-type]  # not None where true


# --- Judges: True for an event that decode would surely give, and that is not wanted.


def _judge_native(stub: _Stub, wants: Wants) -> bool:
    name = stub.name
    kind = "track" if stub.kind is None or stub.kind == "" else stub.kind
    return (
        stub.type == "event"
        and type(name) is str
        and name != ""
        and type(kind) is str
        and not wants(name, kind)
        and _are_ids(stub.user_id, stub.anonymous_id)
        and _is_simple(stub.id, stub.source)
        and _is_time(stub.time)
        and stub.received_at is None
        and stub.elements is None
    )


def _judge_segment(stub: _Stub, wants: Wants) -> bool:
    call = stub.type
    if call == "track":
        name = stub.event
    elif call == "page" or call == "screen":
        name = call if stub.name is None or stub.name == "" else stub.name
    else:
        return False
    return (
        type(name) is str
        and name != ""
        and not wants(name, call)
        and _are_ids(stub.userId, stub.anonymousId)
        and stub.user_id is None
        and stub.anonymous_id is None
        and stub.message_id is None
        and stub.received_at is None
        and _is_simple(stub.messageId, stub.channel)
        and _is_time(stub.timestamp)
        and stub.timestamp is not None
        and _is_time(stub.receivedAt)
    )


def _judge_posthog(stub: _Stub, wants: Wants) -> bool:
    name = stub.event
    properties = stub.properties
    if type(name) is not str or name == "" or properties is None:
        return False
    distinct_id = stub.distinct_id
    if distinct_id is UNSET or distinct_id is None or distinct_id == "":
        distinct_id = properties.distinct_id
    return (
        name != "$autocapture"
        and name not in PERSON_CALLS
        and not wants(name, KINDS.get(name, "track"))
        and type(distinct_id) is str
        and distinct_id != ""
        and _is_simple(stub.uuid, properties.device_id)
        and (properties.lib is None or type(properties.lib) is str)
        and stub.timestamp is not None
        and _is_time(stub.timestamp)
        and _is_time(stub.now)
        and properties.set_ is UNSET
        and properties.set_once is UNSET
        and properties.unset is UNSET
        and properties.elements is UNSET
        and properties.elements_chain is UNSET
        and stub.unusual_set is UNSET
        and stub.unusual_set_once is UNSET
        and stub.unusual_unset is UNSET
        and stub.unusual_chain is UNSET
        and stub.elements is None
    )


def _judge_any(stub: _Stub, wants: Wants) -> bool:
    """Tell the shape in the order of decode's own rules; leave it to decode where that is not obvious."""
    if stub.type == "event":
        return _judge_native(stub, wants)
    if stub.unusual_version is not UNSET or stub.unusual_batch is not UNSET:
        return False
    properties = stub.properties
    has_distinct_id = stub.distinct_id is not UNSET or (
        properties is not None and (properties.distinct_id is not UNSET or properties.distinct is not UNSET)
    )
    if has_distinct_id:
        return stub.type is None and _judge_posthog(stub, wants)
    return type(stub.type) is str and _judge_segment(stub, wants)


_JUDGES: dict[str, Callable[[_Stub, Wants], bool]] = {
    "auto": _judge_any,
    "native": _judge_native,
    "segment": _judge_segment,
    "posthog": _judge_posthog,
}


def _are_ids(user_id: Any, anonymous_id: Any) -> bool:
    """Return True where both are texts or missing, and one is there."""
    if type(user_id) is str and user_id:
        return anonymous_id is None or type(anonymous_id) is str
    return user_id is None and type(anonymous_id) is str and anonymous_id != ""


def _is_simple(first: Any, second: Any) -> bool:
    return (first is None or type(first) is str) and (second is None or type(second) is str)


def _is_time(value: Any) -> bool:
    """Return True for ISO 8601 text well inside the years that can be printed, and where there is none."""
    if value is None:
        return True
    if type(value) is not str:
        return False
    try:
        return 2 <= datetime.fromisoformat(value).year <= 9998
    except ValueError:
        return False
