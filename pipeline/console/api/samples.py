"""What a job read and sent recently: GET /api/v1/samples, catalog, attempts; POST of a test send."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from aiohttp import web

from pipeline.console import writes
from pipeline.console.api.body import JSON, MOST, TEXT, body, catalog_for, record_of, redacted, text_of
from pipeline.console.context import RequestContext
from pipeline.console.redaction import redacted_attempt
from pipeline.console.render import data
from pipeline.model.errors import ConfigError, HooklineError, UsageError
from pipeline.model.json import Value
from pipeline.operate.files.edits import Changed
from pipeline.operate.running import looks
from pipeline.operate.unsaved.results import Previewed

SEND_SECS: Final = 60.0
"""How long a test send may take: its receiver has its own timeout."""
EACH_SECS: Final = 1.0
"""Between two test sends of a person."""


async def samples(context: RequestContext) -> web.Response:
    """``?event=NAME&file=webhooks/x.yaml&limit=N``: the newest records first; with a file, the events of its
    own tests before them.
    """
    limit = context.number("limit", 100, least=1, most=MOST)
    found = await context.run(context.console.samples, context.query.get("file"), context.query.get("event"))
    shown = [
        redacted(context, one.to_json(), "user", "records", "line", "properties") for one in found[:limit]
    ]
    return data({"samples": shown})


async def catalog(context: RequestContext) -> web.Response:
    """Names of events and properties that were seen, with counts of samples, types and examples."""
    return data(await catalog_for(context))


async def attempts(context: RequestContext) -> web.Response:
    """``?webhook=ID&limit=N``: the last attempts, the newest first: failures, and a sample of successes."""
    limit = context.number("limit", 100, least=1, most=MOST)
    found = await context.run(
        looks.attempts, context.console.state, context.query.get("webhook"), limit=limit
    )
    return data({"attempts": [redacted_attempt(context, one) for one in found]})


async def send_test(context: RequestContext) -> web.Response:
    """``{record | sample, user, file, text}``: have the job send the webhook's request for a record, once.

    text: what nobody has saved yet, in place of what lies on disk; for who may edit.
    """
    given = await body(context, record=JSON, sample=TEXT, user=JSON, file=TEXT, text=TEXT)
    sent = await send(context, context.name("id"), given)
    return data(sent)


async def send(context: RequestContext, webhook: str, given: dict[str, Value]) -> dict[str, Value]:
    """Have the job send a test, for the API and for pages; return what was sent, and the answer.

    given: record or sample, user, file, text (each may be None). Raises UsageError, ConfigError, NotRunning
    where the job is stopped.
    """
    console, bench = context.console, context.console.workbench
    context.audit("send test", webhook)
    file = given["file"] or await context.run(bench.file_of, webhook)
    text = given["text"]
    if text is not None and not context.may("edit"):
        try:
            saved: str | None = await text_of(context, file, None)
        except Changed:  # there is no such file
            saved = None
        if saved != text:
            raise web.HTTPForbidden(reason="only a role that may edit can send a text that is not saved")
    record, user = await record_of(context, file, given)
    written = await text_of(context, file, text)
    shown = await context.run(bench.preview, file, written, record, user)
    _require(shown, webhook)
    files = {} if text is None else {file: text}
    await writes.require_allowed(context, {file: written}, sending=True)
    throttle(context)
    async with asyncio.timeout(SEND_SECS):
        told = await asyncio.to_thread(
            looks.send_test, console.state, webhook, shown.record, shown.properties, files
        )
    # With what it was made of: a value that may not be shown is known by its name there.
    made_of = {"record": shown.record, "properties": shown.properties}
    hidden: dict[str, Value] = context.masked({**told, "previewed": shown.to_json()["request"], **made_of})
    return {name: value for name, value in hidden.items() if name not in made_of}


async def sent_or_problem(context: RequestContext, webhook: str, given: dict[str, Value]) -> dict[str, Value]:
    """Do as `send` does, for a page: it shows a problem where the answer would stand."""
    try:
        return await send(context, webhook, given)
    except HooklineError as error:
        return {"problem": str(error)}
    except web.HTTPException as error:
        return {"problem": error.reason}


def _require(shown: Previewed, webhook: str) -> None:
    """Raise what is wrong with a request that cannot be sent."""
    if any(not one.warning for one in shown.checked.own):
        raise ConfigError(shown.checked.own)
    if shown.problem is not None:
        raise UsageError(shown.problem)
    if shown.checked.webhook != webhook:
        raise UsageError(f"the file says that its id is `{shown.checked.webhook}`, not `{webhook}`")
    if shown.request is None:
        reason = shown.dead_letter or "the config has errors in other files that it needs"
        raise ConfigError(f"{webhook}: it cannot be rendered: {reason}")


def throttle(context: RequestContext) -> None:
    """Take a turn of who asks. Raises HTTPTooManyRequests where the last one was a moment ago."""
    sent, now = context.console.sent, time.monotonic()
    if now - sent.get(context.viewer.name, float("-inf")) < EACH_SECS:
        raise web.HTTPTooManyRequests(reason="one test a second: try again")
    sent[context.viewer.name] = now
    while len(sent) > MOST:
        del sent[next(iter(sent))]
