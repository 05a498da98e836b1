"""Answers whose body matters: decompressed, decoded, parsed. An unreadable one is not a success.

Receivers are told that no coding is wanted; gzip and deflate are accepted all the same.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import orjson

from pipeline.deliver.http.attempt import MAX_WHOLE, Attempt
from pipeline.deliver.requests.spec import FailWhen, LaneSpec
from pipeline.language.work import TooExpensive
from pipeline.model.charsets import NO_CODING, NotInCharset, decoded

_MOST_CODINGS: Final = 5
_GZIP: Final = b"\x1f\x8b"
_CONSENT: Final = re.compile(
    r"\s*(ok|okay|success|accepted|received|done|thanks|thank you)[.!]?\s*", re.IGNORECASE
)
"""Words by which receivers say yes, for example Slack's: a text without fields, which needs none."""


class Unreadable(Exception):
    """The answer cannot be read; says why."""


class NotNow(Exception):
    """`retry_when` holds for an answer."""


FailedItems: TypeAlias = dict[int, tuple[str, bool]]
"""Failed members of a batch: index -> (error text, whether to retry)."""
Judged: TypeAlias = tuple[bool, FailedItems]
"""Whether `fail_when` holds for an answer, and which members of its batch failed."""
Said: TypeAlias = tuple[Any, dict[str, Any], FailedItems]


def judged(attempt: Attempt, spec: LaneSpec) -> Judged:
    """Return the verdict on a 2xx answer. Raises Unreadable where there can be none, NotNow."""
    _, response, failed = read_success(attempt, spec)
    if _holds("retry_when", spec.retry_when, response):
        raise NotNow
    return _holds("fail_when", spec.fail_when, response), failed


def _holds(name: str, condition: FailWhen | None, response: Mapping[str, Any]) -> bool:
    try:
        return condition is not None and condition(None, None, {"response": response})
    except TooExpensive:
        raise Unreadable(f"`{name}` takes more work on it than conditions may") from None
    except Exception as error:  # costs one delivery, never the whole engine
        raise Unreadable(f"`{name}` cannot judge it: {error}") from error


def read_success(attempt: Attempt, spec: LaneSpec) -> Said:
    """Return a 2xx answer as JSON or text, as `response` for conditions, and its failed members.

    Raises Unreadable where that is needed and cannot be known. For a batch only an answer meant as JSON is
    needed: most receivers answer with a word.
    """
    reads, headers = spec.reads, attempt.headers or {}
    # Several members also where a reload has just turned batching off.
    is_batch = spec.delivery.batch is not None or len(attempt.items) > 1
    body: Any = None
    if spec.judges and (reads.fields or reads.body):
        text = text_of(attempt.answer, headers, cut=attempt.cut)
        try:
            body = parse(text)
        except Unreadable:
            if reads.fields and _CONSENT.fullmatch(text) is None:
                raise
            body = text
    elif is_batch:
        start = attempt.answer.decode("latin-1")
        if headers.get("content-encoding") or looks_like_json(start, headers) or not start.isascii():
            text = text_of(attempt.answer, headers, cut=attempt.cut)
            body = parse(text) if looks_like_json(text, headers) else None
    failed = failed_items(body, len(attempt.items)) if is_batch else {}
    response = dict(body) if isinstance(body, dict) else {}
    response["status"] = attempt.status
    response["headers"] = {name: headers[name.lower()] for name in reads.headers if name.lower() in headers}
    if body is not None:
        response["body"] = body
    return body, response, failed


def failed_items(answer: Any, members: int) -> FailedItems:
    """Return the failures that a decoded answer reports.

    Raises Unreadable where they cannot be assigned to members of the batch.
    """
    found: FailedItems = {}
    listed = answer.get("failed") if isinstance(answer, dict) else None
    if not listed:
        return found
    if not isinstance(listed, list):
        raise Unreadable("its `failed` is no list of places in the batch")
    for each in listed:
        index, error, again = each, "", True
        if isinstance(each, dict):
            index, error, again = each.get("index"), each.get("error", ""), each.get("retry", True)
        place = _place(index)
        if place is None or place >= members:
            raise Unreadable("its `failed` holds what is no place in the batch")
        found[place] = (error if isinstance(error, str) else str(error), again is not False)
    return found


def _place(index: Any) -> int | None:
    """Return the number that an index is or spells; None where it is neither."""
    if isinstance(index, bool):
        return None
    if isinstance(index, str) and index.isascii() and index.isdecimal() and len(index) < 10:
        return int(index)
    if isinstance(index, float) and index.is_integer():
        index = int(index)
    return index if isinstance(index, int) and index >= 0 else None


def text_of(answer: bytes, headers: Mapping[str, str], *, cut: bool = False) -> str:
    """Return the text of an answer, "" for an empty one. Raises Unreadable.

    headers: by lower-case name. cut: it is longer than what was read.
    """
    if cut:
        raise Unreadable(f"it is longer than {MAX_WHOLE >> 20} MiB")
    if not answer:
        return ""
    codings = [one.strip().lower() for one in headers.get("content-encoding", "").split(",")]
    codings = [coding for coding in codings if coding not in NO_CODING]
    if len(codings) > _MOST_CODINGS:
        raise Unreadable(f"it is packed {len(codings)} times")
    for coding in reversed(codings):
        answer = _unpack(answer, coding)
    try:
        return decoded(answer, headers.get("content-type", ""))
    except NotInCharset as error:
        raise Unreadable(str(error)) from None


def legible(answer: bytes, headers: Mapping[str, str] | None) -> bytes:
    """Return an answer in UTF-8, for people; unchanged where it cannot be decoded.

    headers: None where they were not kept; gzip is known without them.
    """
    if headers is None:
        if not answer.startswith(_GZIP):
            return answer
        headers = {"content-encoding": "gzip"}
    try:
        return text_of(answer, headers).encode("utf-8", "backslashreplace")
    except Unreadable:
        return answer


def parse(text: str) -> Any:
    """Return the JSON of a text; None for a blank one. Raises Unreadable."""
    if not text or text.isspace():
        return None
    try:
        return orjson.loads(text)
    except ValueError:
        pass
    try:
        # Some write NaN, or numbers beyond 64 bits.
        return json.loads(text)
    except (ValueError, RecursionError):
        raise Unreadable("it is no JSON") from None


def looks_like_json(text: str, headers: Mapping[str, str]) -> bool:
    """Return whether an answer is meant as JSON."""
    kind = headers.get("content-type", "").partition(";")[0].lower()
    return "json" in kind or text.lstrip()[:1] in ("{", "[")


def _unpack(packed: bytes, coding: str) -> bytes:
    if coding in ("gzip", "x-gzip"):
        return _inflate(packed, coding, zlib.MAX_WBITS | 16)
    if coding != "deflate":
        raise Unreadable(f"its coding is {coding[:40]!a}, which was not asked for")
    try:
        return _inflate(packed, coding, zlib.MAX_WBITS)
    except Unreadable:
        # Raw deflate without zlib's header, as old servers send it.
        return _inflate(packed, coding, -zlib.MAX_WBITS)


def _inflate(packed: bytes, coding: str, wbits: int) -> bytes:
    """Return the content of all members; more than an answer may hold is a bomb."""
    made = bytearray()
    while True:
        unpacker = zlib.decompressobj(wbits)
        try:
            made += unpacker.decompress(packed, MAX_WHOLE + 1 - len(made))
        except zlib.error:
            raise Unreadable(f"it is no {coding}") from None
        if len(made) > MAX_WHOLE:
            raise Unreadable(f"unpacked it is longer than {MAX_WHOLE >> 20} MiB")
        if not unpacker.eof:
            raise Unreadable(f"its {coding} ends too early")
        packed = unpacker.unused_data
        if not packed.startswith(_GZIP):
            return bytes(made)  # trailing garbage is not part of it
