"""Dead letters, pending requests and users over the API: listed, counted, then changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import orjson
from aiohttp import web

from pipeline.admin.socket_client import NotRunning, ask
from pipeline.console.context import RequestContext
from pipeline.console.filters import dead_filter, owed_filter
from pipeline.console.glance import glance
from pipeline.console.pages import dead_letters, pending
from pipeline.console.pages.webhooks import ORDERS, obey
from pipeline.console.redaction import redacted_reason
from pipeline.console.render import data
from pipeline.console.selections import COUNT_SECS, act
from pipeline.model.errors import UsageError
from pipeline.model.json import Value
from pipeline.operate.kept import dlq, outbox
from pipeline.operate.kept.chosen import Chosen
from pipeline.operate.kept.dead_pages import groups
from pipeline.operate.kept.dead_pages import page as dead_page
from pipeline.operate.kept.owed_pages import page as owed_page
from pipeline.operate.kept.owed_pages import summary
from pipeline.operate.kept.users import look_up
from pipeline.operate.running.halts import foresee
from pipeline.operate.running.status import status as job_status


async def status(context: RequestContext) -> web.StreamResponse:
    """Return the accounting and how the job stands, as `hookline status --json` prints it."""
    found = (await context.run(job_status, context.console.state)).to_json()
    if not context.may("payloads"):  # what a receiver answers may quote what it got
        for lane in found.get("lanes", {}).values():
            lane["error"] = ""
        for why in found["waiting"].values():
            why["last"] = None
    return data(found)


async def processes(context: RequestContext) -> web.StreamResponse:
    """Return what each process of the running job says of itself; none where none runs."""
    try:
        # Asked now, not a second ago: who asks reckons rates from it.
        said = await context.run(ask, context.console.state, "status")
    except NotRunning:
        said = []
    if not context.may("payloads"):
        for lane in (lane for one in said for lane in one["lanes"].values()):
            lane["error"] = ""
    return data({"processes": said})


async def list_dead(context: RequestContext) -> web.StreamResponse:
    """Return dead letters, the newest first, and on the first page their counts."""
    state, selection = context.console.state, dead_filter(context, context.query).require()
    before = context.query.get("before") or None
    part = await context.run(dead_page, state, selection, before)
    counted = None if before else await context.run(groups, state, selection)
    return data(dead_letters.listed(context, part, counted))


async def replay(context: RequestContext) -> web.StreamResponse:
    """Count what is selected, or send it again: exactly what was counted."""
    return await _change_dead(context, "replay")


async def purge(context: RequestContext) -> web.StreamResponse:
    """Count what is selected, or delete it for good: exactly what was counted."""
    return await _change_dead(context, "purge")


async def _change_dead(context: RequestContext, action: Literal["replay", "purge"]) -> web.StreamResponse:
    given = await _body(context)
    selection = dead_filter(context, _filter(given)).require()
    state = context.console.state
    return await _change(context, given, lambda: dlq.choose(state, action, selection, COUNT_SECS))


async def list_owed(context: RequestContext) -> web.StreamResponse:
    """Return what waits on disk, what is due first in front, and what each webhook owes."""
    state, owing = context.console.state, owed_filter(context, context.query).require()
    part = await context.run(owed_page, state, owing, context.query.get("after") or None)
    owes = await context.run(summary, state)
    return data(pending.listed(context, part, owes))


async def drop(context: RequestContext) -> web.StreamResponse:
    """Count what is selected, or give it up: exactly what was counted."""
    given = await _body(context)
    owing = owed_filter(context, _filter(given)).require()
    state = context.console.state
    return await _change(context, given, lambda: outbox.choose(state, owing, COUNT_SECS))


async def send_now(context: RequestContext) -> web.StreamResponse:
    """Make what waits for a webhook due now."""
    webhook = (await _body(context)).get("webhook")
    if not isinstance(webhook, str):
        raise UsageError("`webhook` is missing: expected an id")
    context.audit("send now", webhook)
    await context.run(outbox.retry_now, context.console.state, webhook)
    return data({"webhook": webhook})


async def orders(context: RequestContext) -> web.StreamResponse:
    """Pause, resume, disable or enable webhooks by ids and patterns, or say what it would come to."""
    given = await _body(context)
    order = next((one for one in ORDERS if one == given.get("order")), None)
    names = given.get("webhooks", [])
    if order is None:
        raise UsageError(f"`order` is one of {', '.join(ORDERS)}")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UsageError("`webhooks` is a list of ids and patterns; [] means all")
    seen = await glance(context)
    found = foresee(names, order, seen.owed, seen.ages)
    if given.get("dry_run"):
        context.unchanged()
        return data({"order": order, "webhooks": [one.to_json() for one in found]})
    done = await obey(context, seen, [one.id for one in found], order)
    return data({"order": order, "now": done.now, "webhooks": [one.to_json() for one in done.webhooks]})


async def user(context: RequestContext) -> web.StreamResponse:
    """Return what is known of a user."""
    known = await context.run(look_up, context.console.state, context.name("id"))
    return data(context.masked(known.to_json()))


async def _change(
    context: RequestContext, given: dict[str, Value], choose: Callable[[], Chosen]
) -> web.StreamResponse:
    if given.get("dry_run"):
        context.unchanged()
        chosen = await context.run(choose)
        context.console.shown.show(chosen)
        facts = chosen.to_json()
        for group in facts["by_reason"]:
            group["reason"] = redacted_reason(context, group["reason"])
        return data(facts)
    digest = given.get("digest")
    work = await act(context, choose, digest if isinstance(digest, str) else "", None)
    return data(work.to_json(), status=202 if work.state == "running" else 200)


def _filter(given: dict[str, Value]) -> dict[str, str]:
    """Return the words of a filter, all of them texts."""
    found = given.get("filter", {})
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise UsageError('`filter` holds texts, as the URL of the list does: {"status": "503"}')
    return found


async def _body(context: RequestContext) -> dict[str, Value]:
    try:
        given = orjson.loads(await context.request.read())
    except ValueError:
        raise UsageError("the body is not valid JSON") from None
    if not isinstance(given, dict):
        raise UsageError("the body is a JSON object")
    return given
