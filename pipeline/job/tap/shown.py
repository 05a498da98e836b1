"""The lines of a tap: decoded, explained and masked by the thread that serves it."""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from pipeline.decode.decode import decode
from pipeline.job.tap.seen import Raw, Seen
from pipeline.job.tap.taps import NOBODY
from pipeline.job.tap.wanted import Payload, Wanted
from pipeline.job.tap.why import why_skipped, why_unmatched
from pipeline.job.trials.preview import Preview
from pipeline.language.slots import mask
from pipeline.model.json import Value, as_utf8, with_leaves
from pipeline.model.records import Event, IdentityLink, Invalid, PropertyUpdate, Record, User
from pipeline.model.times import format_iso
from pipeline.outbox.reading.dead_letter_json import as_json_value, request_json
from pipeline.recording.native_lines import native_line

SHORT = 200
"""Characters of a value, unless full values are requested."""
MOST_BYTES = 256 * 1024
"""Larger payloads are left out, and marked so."""
SHOWN_RAW = 4096
"""Bytes of an unreadable line, unless full values are requested."""

Line = dict[str, Value]


def lines(seen: Seen, wanted: Wanted) -> Iterator[Line]:
    """Yield the lines for one thing that happened; none where a filter on decoded data rejects it."""
    if seen.raw is not None:
        yield from _of_raw(seen, seen.raw, wanted)
    elif seen.invalid is not None:
        yield _of_invalid(seen, seen.invalid, wanted)
    elif seen.event is not None:
        line = _head(seen, seen.event)
        if seen.webhook is not None:
            line["webhook"] = seen.webhook.id
            if seen.stage == "unmatched" and wanted.why:
                line["why"] = _cut(why_unmatched(seen.webhook, seen.event, seen.user), wanted.payload)
        if seen.match is not None:
            line["webhook_id"] = seen.match.message_id
            if seen.match.reason:
                line["reason"] = seen.match.reason
        yield _with_payload(line, seen, seen.event, wanted.payload)
    else:
        yield _of_request(seen, wanted)


def _head(seen: Seen, record: Record) -> Line:
    line: Line = {"stage": seen.stage, "at": format_iso(seen.at_ms)}
    match record:
        case Event():
            line["event"] = record.name
        case PropertyUpdate():
            line["event"] = None
            line["kind"] = "delete" if record.delete else "update"
        case IdentityLink():
            line["event"] = None
            line["kind"] = "identify"
        case Invalid():
            line["reason"] = record.reason
    if not isinstance(record, Invalid):
        line["user"] = record.user_id or record.anonymous_id
    line["origin"] = as_utf8(str(record.origin))
    return line


def _of_raw(seen: Seen, raw: Raw, wanted: Wanted) -> Iterator[Line]:
    if raw.fault is not None:
        found: list[Record] = [Invalid(raw.line or b"", raw.fault, raw.origin)]
    else:
        found = decode(
            raw.line, format=raw.shape, origin=raw.origin, received_at=raw.received_at, headers=raw.headers,
            key=raw.key,
        )  # fmt: skip
    webhooks = raw.snapshot.webhooks
    asked = [index for index, one in enumerate(webhooks) if one.enabled and wanted.of_webhook(one.id)]
    for record in found:
        if isinstance(record, Invalid):
            if seen.stage == "read" and not wanted.asks_event:
                yield _of_invalid(seen, record, wanted)
            continue
        if not isinstance(record, Event):
            about = wanted.user in (None, record.user_id, record.anonymous_id)
            if seen.stage == "skipped" or wanted.events or wanted.where is not None or not about:
                continue
            yield _with_payload(_head(seen, record), seen, record, wanted.payload)
            continue
        if seen.stage == "skipped":
            chosen = raw.chosen.get(record.origin.item, ())
            if any(index in chosen or ~index in chosen for index in asked):
                continue
        if not wanted.of_event(record, NOBODY):
            continue
        line = _head(seen, record)
        if seen.stage == "skipped" and wanted.why:
            these, named = [webhooks[index] for index in asked], bool(wanted.webhooks)
            why = why_skipped(record, raw.snapshot, these, asked=named)
            line["why"] = _cut(why, wanted.payload)
        yield _with_payload(line, seen, record, wanted.payload)


def _of_invalid(seen: Seen, record: Invalid, wanted: Wanted) -> Line:
    line = _head(seen, record)
    if wanted.payload != "none":
        raw = record.raw if wanted.payload == "full" else record.raw[:SHOWN_RAW]
        line["raw"] = _cut(raw.decode("utf-8", "backslashreplace"), wanted.payload)
    return line


def _of_request(seen: Seen, wanted: Wanted) -> Line:
    """Return an attempt, or a dead letter."""
    request = seen.request
    assert request is not None  # for everything except records and matches
    name, user_id, anonymous_id = seen.names or (None, None, None)
    line: Line = {
        "stage": seen.stage,
        "at": format_iso(seen.at_ms),
        "webhook": request.webhook_id,
        "webhook_id": request.message_id,
        "event": name,
        # Without the user key's prefix that distinguishes ids from anonymous ids.
        "user": user_id or anonymous_id or as_utf8(request.user[2:]) or None,
        "attempt": seen.attempt,
        "status": seen.status or None,
        "outcome": seen.outcome,
    }
    if seen.reason:
        line["reason"] = as_utf8(seen.reason)
    if seen.outcome == "retry":
        line["due_at"] = format_iso(seen.due_ms)
        if seen.probe_ms:
            line["probe_at"] = format_iso(seen.probe_ms)
    if seen.took_secs is not None:
        line["ms"] = round(seen.took_secs * 1000, 1)
    if seen.excerpt:
        line["response"] = as_utf8(seen.excerpt)
    if wanted.payload != "none":
        letter = seen.letter
        shown = request_json(request) if letter is None else as_json_value(letter)["request"]
        line["request"] = _fitting(_like_preview(shown), wanted.payload)
    return line


def _like_preview(request: dict[str, Value]) -> dict[str, Value]:
    """Return a request in the form in which a match shows it: a JSON body is a value."""
    headers = dict(request["headers"])
    body = request["body"]
    if body:
        try:
            body = orjson.loads(body)
        except orjson.JSONDecodeError:
            pass  # a form, a text
    return {"method": request["method"], "url": request["url"], "headers": headers, "body": body or None}


def _with_payload(line: Line, seen: Seen, record: Record, payload: Payload) -> Line:
    if payload == "none":
        return line
    if not isinstance(record, Invalid):
        line["record"] = _fitting(orjson.loads(native_line(record)), payload)
    if seen.user is not None:
        line["known"] = _fitting(_known(seen.user), payload)
        if seen.user.before is not None:
            line["before"] = _fitting(seen.user.before, payload)
    if seen.match is not None and seen.request is not None:
        made = Preview.of(seen.match).to_json()
        made["url"] = mask(seen.request.url)  # a replay sends it elsewhere
        del made["webhook"]
        line["request"] = _fitting(made, payload)
    return line


def _known(user: User) -> dict[str, Value]:
    return user.properties


def _fitting(value: Value, payload: Payload) -> Value:
    """Return a value as shown; if it is too large, only that fact."""
    size = len(orjson.dumps(value, default=str))
    if size > MOST_BYTES:
        return f"left out: {size:,} bytes"
    return _cut(value, payload)


def _cut(value: Value, payload: Payload) -> Value:
    return value if payload == "full" else with_leaves(value, _short)


def _short(value: Value) -> Value:
    if not isinstance(value, str) or len(value) <= SHORT:
        return value
    return f"{value[:SHORT]}… ({len(value):,} characters)"
