"""Cuts a body into its members as raw bytes: they are never parsed and written again.

Valid JSON is cut by msgspec. Where one member holds NaN, a number beyond the limits, a lone surrogate or a
thousand brackets, the job's tolerant reader of envelopes cuts instead: the member is kept as received, and
the job dead-letters it with its reason.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import TypedDict, cast

import msgspec

from pipeline.collect.protocols.protocol import Limits, Malformed
from pipeline.decode.raw import fields as read
from pipeline.decode.raw import walk
from pipeline.model.json import Json

Fields = Mapping[str, bytes | msgspec.Raw]
"""The raw fields of an envelope."""

_Envelope = TypedDict(
    "_Envelope",
    {
        "batch": msgspec.Raw,
        "events": msgspec.Raw,
        "users": msgspec.Raw,
        "identification": msgspec.Raw,
        "properties": msgspec.Raw,
        "context": msgspec.Raw,
        "event_type": msgspec.Raw,
        "uuid": msgspec.Raw,
        "writeKey": msgspec.Raw,
        "api_key": msgspec.Raw,
        "token": msgspec.Raw,
        "$token": msgspec.Raw,
        "app_id": msgspec.Raw,
        "sentAt": msgspec.Raw,
        "sent_at": msgspec.Raw,
        "client_upload_time": msgspec.Raw,
        "historical_migration": msgspec.Raw,
    },
    total=False,
)
"""The fields needed of any envelope; others, perhaps ten million, cost nothing."""

NOT_SEEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""Raised for a member that is not valid JSON: the job reports what is wrong with it."""

_raw_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_raw_object = msgspec.json.Decoder(_Envelope).decode
_LINES_OF_A_MEMBER = 4
"""Some senders leave blank lines."""
_any = msgspec.json.Decoder().decode
_BOM = b"\xef\xbb\xbf"
_FLAT_BYTES = 400
"""A shorter value certainly is not nested deeper than any reader of a line goes."""
_OF_MEMBERS = {name: b'"%b"' % name.encode() for name in ("batch", "events", "users", "identification")}
"""Fields that hold the members."""
_ESCAPED_NAME = re.compile(rb'"[^"\\]{0,14}\\u00[67][0-9a-fA-F][^"]{0,80}"\s*:')
"""Possibly one of them, with an escaped letter."""
_MULTIPART = re.compile(rb"--[^\r\n]{1,70}\r?\nContent-Disposition:", re.IGNORECASE)
_JOINED = re.compile(rb"\}[ \t]*\{")
_MOST_BAD_BYTES = 6 << 20
"""Everybody waits while the tolerant reader examines this much. No SDK sends more than 5 MB at once."""
_COMMAS_OF_A_MEMBER = 40
"""A list with more may hold a million members: they are counted while they are cut."""


class Good(list[bytes]):
    """Members that may stand in a line as they are: a reader of the line finds the same bytes again.

    Each is a single JSON value in UTF-8, without a line end, nested no deeper than readers go.
    """


def are_good(values: Sequence[bytes], text: bytes) -> bool:
    """Return whether members that msgspec found in a text may stand in a line as they are."""
    if b"\n" in text or b"\r" in text or b"null" in values:
        return False
    if not text.isascii():
        try:
            text.decode()  # msgspec looks at no text: a line that is not UTF-8 is JSON for nobody else
        except UnicodeDecodeError:
            return False
    # Most are short; all are, if they are short together.
    if len(text) < _FLAT_BYTES or max(map(len, values), default=0) < _FLAT_BYTES:
        return True
    return not any(map(_may_be_deep, values))


def which_are_good(values: Sequence[bytes | None]) -> list[bool]:
    """Return which of some unchecked members may stand in a line as they are.

    As long as all do, one pass checks all of them.
    """
    if _stand_alone(values):
        return [True] * len(values)
    if len(values) < 2:
        return [False] * len(values)
    half = len(values) // 2
    return which_are_good(values[:half]) + which_are_good(values[half:])


def _stand_alone(values: Sequence[bytes | None]) -> bool:
    """Return whether all are good: as items of a list, each is exactly as long as its value.

    So none can begin or end within another.
    """
    if None in values:
        return False
    there = cast(Sequence[bytes], values)
    text = b",".join(there)
    try:
        if list(map(len, _raw_list(b"[" + text + b"]"))) != list(map(len, there)):
            return False
    except NOT_SEEN:
        return False
    return are_good(there, text)


def _may_be_deep(value: bytes) -> bool:
    return value.count(b"{") + value.count(b"[") >= _FLAT_BYTES // 2


def text_of(body: bytes) -> bytes:
    """Return the body without what surrounds its JSON. Raises Malformed where there is none."""
    text = body.removeprefix(_BOM).strip()
    if not text:
        raise Malformed("the body is empty: expected JSON")
    if text[0] not in b"{[":
        raise no_json(text)
    return text


def no_json(text: bytes, *, or_in: str = "") -> Malformed:
    """Return what to raise for a body that is no JSON. or_in: in what it might have been."""
    if _MULTIPART.match(text):
        return Malformed(
            "multipart/form-data is not read: send the JSON itself (in a page a text or a Blob in place of "
            "FormData)",
            415,
        )
    return Malformed(f"the body is neither a JSON object nor an array{or_in}")


def fields(text: bytes) -> Fields:
    """Return the fields of an object. Raises Malformed for anything else."""
    return _envelope(text)[0]


def _envelope(text: bytes) -> tuple[Fields, bool]:
    """Return the fields of an object, and whether it is valid JSON. Raises Malformed for anything else."""
    found: Fields | None
    try:
        found, is_good = cast(Fields, _raw_object(text)), True
    except NOT_SEEN:
        found, is_good = _fields(text), False
        if found is None:
            raise Malformed("the body is not JSON") from None
    for name in _OF_MEMBERS:
        if name in found and _comes_twice(text, name, found):
            # Readers use the last of two: the contents of the first would be lost, although acknowledged.
            raise Malformed(f"the body has two `{name}`: send one")
    return found, is_good


def _comes_twice(text: bytes, name: str, found: Fields) -> bool:
    quoted = _OF_MEMBERS[name]
    # Searching for one byte is some sixty times faster than for four.
    is_escaped = b"\\" in text and b"\\u00" in text and _ESCAPED_NAME.search(text) is not None
    if not is_escaped and text.count(quoted) < 2:
        return False
    field = re.compile(quoted + rb"\s*:")
    inside = sum(len(field.findall(bytes(raw))) for raw in found.values())
    if not is_escaped and len(field.findall(text)) - inside < 2:
        return False
    names: list[str] = []

    def see(pairs: list[tuple[str, object]]) -> None:
        names[:] = [one for one, _ in pairs]  # of the outermost object last

    try:
        json.loads(text, object_pairs_hook=see)
    except (ValueError, RecursionError):
        return True  # so it looks, and nobody can say
    return names.count(name) > 1


def items(text: bytes | msgspec.Raw, limits: Limits) -> list[bytes]:
    """Return the members of an array. Raises Malformed for anything else, or beyond the limits."""
    found: list[bytes] | None
    raw = bytes(text)
    most = _COMMAS_OF_A_MEMBER * limits.members
    if len(raw) > most and raw.count(b",") > most:
        found = walk.items(raw, limits.members)
    else:
        try:
            found = list(map(bytes, _raw_list(raw)))
            if are_good(found, raw):
                found = Good(found)
        except NOT_SEEN:
            found = _items(raw, limits)
    if found is None:
        raise Malformed("the body is not JSON, or holds something else than a list of records")
    return within(found, limits)


def batch(text: bytes, limits: Limits) -> tuple[Fields, bytes, list[bytes]]:
    """Return the envelope of an object with a `batch`, the text that holds the members, and the members.

    An array has no envelope; an object without a `batch` is a single member. Raises Malformed.
    """
    if text[:1] == b"[":
        return {}, text, items(text, limits)
    try:
        envelope, is_good = _envelope(text)
    except Malformed:
        joined = _joined(text, limits)
        if joined is None:
            raise
        return joined
    held = bytes(envelope.get("batch", b""))
    if held.startswith(b"["):
        return envelope, held, items(held, limits)
    return envelope, text, within(_alone(text) if is_good else [text], limits)


def _joined(text: bytes, limits: Limits) -> tuple[Fields, bytes, list[bytes]] | None:
    """Return `batch` of several envelopes, one right after the other: the first one's fields, all members.

    Segment's libraries for phones send such, with files of events that they have taken up twice.
    """
    envelopes = _items(b"[" + text + b"]", limits) or []
    if len(envelopes) < 2:
        return None
    found: list[bytes] = []
    fields: list[Fields] = []
    for one in envelopes:
        envelope, held, inside = batch(one, limits) if one[:1] == b"{" else ({}, b"", [])
        if not held or held is one:
            return None
        fields.append(envelope)
        found += inside
        if len(found) > limits.members:
            break
    return fields[0], text, within(found, limits)


def _alone(text: bytes) -> list[bytes]:
    """Return the single member in a text, read by msgspec."""
    alone = (text,)
    return Good(alone) if are_good(alone, text) else [text]


def _fields(text: bytes) -> dict[str, bytes] | None:
    _refuse_large(text)
    return walk.fields(text)


def _items(text: bytes, limits: Limits) -> list[bytes] | None:
    _refuse_large(text)
    return walk.items(text, limits.members)


def _refuse_large(text: bytes) -> None:
    if len(text) > _MOST_BAD_BYTES:
        raise Malformed(
            f"the body is not good JSON, and {len(text):,} bytes are too many to look for what is wrong", 413
        )


def within(found: list[bytes], limits: Limits) -> list[bytes]:
    """Return the members. Raises Malformed for invalid ones, too many, or a single one that is too large.

    If there are several, large ones are truncated when they are kept (`Cut.batch`).
    """
    if not found:
        raise Malformed("there is no record in the body")
    if len(found) > limits.members:
        raise Malformed(f"the body holds more than {limits.members:,} records (`limits.members`)", 413)
    if len(found) == 1 and len(found[0]) > limits.member_bytes:
        raise Malformed(
            f"the record has {len(found[0]):,} bytes; `limits.member` allows {limits.member_bytes:,}", 413
        )
    return found


def lines(body: bytes, limits: Limits) -> list[bytes]:
    """Return the records of a body that is one object, an array of them, or an object per line (or several).

    Raises Malformed where it is not JSON, or neither object nor array.
    """
    text = text_of(body)
    if text[:1] == b"[":
        return items(text, limits)
    try:
        _raw_object(text)
        return within(_alone(text), limits)
    except NOT_SEEN:
        first, _, others = text.partition(b"\n")
        # After a first complete object, each line is valid or invalid on its own, however many there are.
        if (not others or _fields(first) is None) and _fields(text) is not None:
            return within([text], limits)
    if text.count(b"\n") > _LINES_OF_A_MEMBER * limits.members:
        raise Malformed(f"the body holds more than {limits.members:,} records (`limits.members`)", 413)
    found = [line for line in map(bytes.strip, text.split(b"\n")) if line]
    # One line that is none costs that line; where none is an object, the body is something else.
    if len(found) > 1 and any(_fields(line) is not None for line in found):
        return within(found, limits)
    joined = _items(b"[" + text + b"]", limits) or []  # `curl -d @FILE` takes the line ends away
    if len(joined) > 1 and all(one[:1] == b"{" for one in joined):
        return within(joined, limits)
    if _JOINED.search(text, 0, _MOST_BAD_BYTES):
        raise Malformed(
            "the body holds several objects in one line: expected one per line (curl: --data-binary)"
        )
    raise Malformed("the body is not JSON")


def value(found: Fields, name: str) -> Json:
    """Return a field's value; None where it is missing or cannot be read."""
    raw = found.get(name)
    if raw is None:
        return None
    try:
        return _any(raw)  # type: ignore[no-any-return]  # as JSON is
    except NOT_SEEN:
        return None


def id_of(*values: object) -> str | None:
    """Return the first id that is set, as the decoder has it: numbers become text, a blank one is none."""
    for found in values:
        if type(found) is str:
            if read.is_id(found):
                return found
        elif type(found) is int or type(found) is float:
            return read.text_id({"id": found}, "id")
    return None
