"""``GET /api/v1/tap``: what the running job reads and sends, as JSON lines or server-sent events."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final

import orjson
from aiohttp import web

from pipeline.config.yaml.loader import parse_yaml
from pipeline.console.context import RequestContext
from pipeline.console.redaction import may_advise
from pipeline.console.security.headers import harden
from pipeline.console.security.masks import HIDDEN
from pipeline.console.streams import Batch, TapFeed
from pipeline.language.path_syntax import parse_path
from pipeline.language.units import parse_duration
from pipeline.model.errors import HooklineError, UsageError
from pipeline.model.json import Value
from pipeline.model.process.stop import requested
from pipeline.operate.tap.filters import Filters, redacted
from pipeline.operate.tap.follow import Line

HEARTBEAT_SECS: Final = 15.0
"""How long a stream is silent at most: proxies end what says nothing, and who has gone is noticed."""
LOOK_SECS: Final = 1.0
"""How often it is looked whether who asked is still logged in."""
ENDED: Final = "you are not logged in any more, or with other rights: log in again"
EVENTS: Final = "text/event-stream"
LINES: Final = "application/x-ndjson"
_LIMITS: Final = ("count", "for", "format")


async def tap(context: RequestContext) -> web.StreamResponse:
    """Stream lines until the client goes, `count` lines were sent, or `for` has passed."""
    filters = filters_of(context, _LIMITS)
    most, ends = context.number("count", 0), _ends(context.query.get("for"))
    as_events = EVENTS in context.request.headers.get("accept", "")
    write = _event if as_events else _ndjson
    sent = 0
    async with streaming(context, filters, EVENTS if as_events else LINES, patient=False) as (
        answer,
        batches,
    ):
        async for batch in batches:
            chunks = [write(None, {"tap": {"notice": text}}) for text in batch.notices]
            for line in batch.lines[: most - sent if most else None]:
                chunks.append(write(line, {}))
                sent += 1
            if batch.counts is not None:
                chunks.append(write(None, {"tap": batch.counts}))
            if chunks:
                await answer.write(b"".join(chunks))
            if (most and sent >= most) or time.monotonic() >= ends:
                break
    return answer


def _ends(span: str | None) -> float:
    """Return when so long a time from now has passed. Raises UsageError."""
    try:
        return float("inf") if span is None else time.monotonic() + parse_duration(span)
    except ValueError as error:
        raise UsageError(f"`for`: {error}") from error


def _ndjson(line: Line | None, told: Mapping[str, Value]) -> bytes:
    return orjson.dumps(line or told, default=str, option=orjson.OPT_APPEND_NEWLINE)


def _event(line: Line | None, told: Mapping[str, Value]) -> bytes:
    name = b"" if line else b"event: tap\n"
    return b"%sdata: %s\n\n" % (name, orjson.dumps(line or told["tap"], default=str))


def filters_of(context: RequestContext, more: tuple[str, ...] = ()) -> Filters:
    """Return the filters of the query, as far as who asks may see what they ask for. Raises UsageError."""
    query = {name: context.query.getall(name) for name in context.query}
    filters = Filters.of_query(query, more)
    if not context.may("payloads"):
        return filters.without_payload()
    hidden = None if filters.where is None else context.console.mask.asked_by(_condition(filters.where))
    if hidden is not None:
        raise UsageError(f"`where`: `{hidden}` asks about what this console hides (`console.mask`)")
    return filters


def _condition(text: str) -> Value:
    """Return what a condition says; None where it is no YAML: the job says what is wrong with it."""
    return parse_yaml(text, "where").data


def shown(context: RequestContext) -> Callable[[Line], Line]:
    """Return what makes of a line what this person may see of it."""
    if not context.may("payloads"):
        return lambda line: redacted(line, HIDDEN)

    def masked(line: Line) -> Line:
        # A clause says its value beside the path, not under the property's name.
        clauses = [_masked_clause(context, one) for one in line.get("why", ())]
        found: Line = context.masked(line | {"why": clauses} if clauses else line)
        return found

    return masked


def _masked_clause(context: RequestContext, clause: dict[str, Value]) -> dict[str, Value]:
    if "value" not in clause or not clause.get("path"):
        return clause
    try:
        name = str(parse_path(str(clause["path"]), ("event", "user")).parts[-1])
    except ValueError:
        return clause  # it asks for no property
    shown = context.masked({name: clause["value"]})[name]
    hidden = set() if may_advise(clause["value"], shown) else {"advice"}
    return {key: value for key, value in clause.items() if key not in hidden} | {"value": shown}


@asynccontextmanager
async def streaming(
    context: RequestContext, filters: Filters, content_type: str, *, patient: bool
) -> AsyncIterator[tuple[web.StreamResponse, AsyncIterator[Batch]]]:
    """Give an answer that has begun, and the batches for it, until the client or the console ends it.

    patient: also where no job runs. Raises before the answer begins: HooklineError with what the job refuses.
    """
    feed = TapFeed(context.console.state, filters, patient=patient)
    try:
        await feed.begun()
        # A proxy that compresses a stream may hold its lines back, as one that buffers does.
        unheld = {"x-accel-buffering": "no", "cache-control": "no-store, no-transform"}
        answer = web.StreamResponse(headers=unheld)
        answer.content_type = content_type
        answer.charset = "utf-8"
        harden(answer, context.nonce)
        await answer.prepare(context.request)
        try:
            yield answer, _batches(context, feed, answer)
            await answer.write_eof()
        except (ConnectionError, HooklineError):
            pass  # the client has gone, or the job's tap has failed: the end says so
    finally:
        feed.close()


async def _batches(
    context: RequestContext, feed: TapFeed, answer: web.StreamResponse
) -> AsyncIterator[Batch]:
    seen = shown(context)
    told = looked = time.monotonic()
    async for batch in feed:
        transport = context.request.transport
        if requested() or transport is None or transport.is_closing():
            return
        if time.monotonic() >= looked + LOOK_SECS:
            looked = time.monotonic()
            if not context.is_welcome:
                yield Batch(notices=[ENDED])
                return
        if batch.lines or batch.notices or batch.counts is not None:
            told = time.monotonic()
            yield replace(batch, lines=[seen(line) for line in batch.lines])
        else:
            if time.monotonic() >= told + HEARTBEAT_SECS:
                told = time.monotonic()
                # A line without content: readers of either form pass over it.
                await answer.write(b": still here\n\n" if answer.content_type == EVENTS else b"\n")
            yield batch
