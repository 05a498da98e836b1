"""Dead letters, pending requests and users over the API: counted, then changed. The pages list them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from aiohttp import web

from pipeline.admin.socket_client import NotRunning, ask
from pipeline.console.api.body import FLAG, LIST, OBJECT, TEXT, body
from pipeline.console.context import RequestContext
from pipeline.console.filters import dead_filter, owed_filter
from pipeline.console.glance import glance
from pipeline.console.pages.webhooks import obey, order_of
from pipeline.console.redaction import redacted_reason
from pipeline.console.render import data
from pipeline.console.selections import COUNT_SECS, act
from pipeline.model.errors import UsageError
from pipeline.model.json import Value
from pipeline.operate.kept import dlq, outbox
from pipeline.operate.kept.chosen import Chosen
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


async def replay(context: RequestContext) -> web.StreamResponse:
    """Count what is selected, or send it again: exactly what was counted."""
    return await _change_dead(context, "replay")


async def purge(context: RequestContext) -> web.StreamResponse:
    """Count what is selected, or delete it for good: exactly what was counted."""
    return await _change_dead(context, "purge")


async def _change_dead(context: RequestContext, action: Literal["replay", "purge"]) -> web.StreamResponse:
    given = await _selection(context)
    selection = dead_filter(context, given["filter"]).require(given["filter"])
    state = context.console.state
    return await _change(context, given, lambda: dlq.choose(state, action, selection, COUNT_SECS))


async def drop(context: RequestContext) -> web.StreamResponse:
    """Count what is selected, or give it up: exactly what was counted."""
    given = await _selection(context)
    owing = owed_filter(context, given["filter"]).require(given["filter"])
    state = context.console.state
    return await _change(context, given, lambda: outbox.choose(state, owing, COUNT_SECS))


async def send_now(context: RequestContext) -> web.StreamResponse:
    """Make what waits for a webhook due now."""
    webhook = (await body(context, "webhook", webhook=TEXT))["webhook"]
    context.audit("send now", webhook)
    await context.run(outbox.retry_now, context.console.state, webhook)
    return data({"webhook": webhook})


async def orders(context: RequestContext) -> web.StreamResponse:
    """Pause, resume, disable or enable webhooks by ids and patterns, or say what it would come to."""
    given = await body(context, "order", "webhooks", order=TEXT, webhooks=LIST, dry_run=FLAG)
    order, names = order_of(given["order"]), given["webhooks"]
    if not all(isinstance(name, str) for name in names):
        raise UsageError("`webhooks` is a list of ids and patterns; [] means all")
    seen = await glance(context)
    found = foresee(names, order, seen.owed, seen.ages)
    if given["dry_run"]:
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
    if given["dry_run"]:
        context.unchanged()
        chosen = await context.run(choose)
        context.console.shown.show(chosen)
        facts = chosen.to_json()
        for group in facts["by_reason"]:
            group["reason"] = redacted_reason(context, group["reason"])
        return data(facts)
    work = await act(context, choose, given["digest"] or "", None)
    return data(work.to_json(), status=202 if work.state == "running" else 200)


async def _selection(context: RequestContext) -> dict[str, Value]:
    """Return a body that selects rows; the words of its filter are texts."""
    given = await body(context, "filter", filter=OBJECT, digest=TEXT, dry_run=FLAG)
    if not all(isinstance(value, str) for value in given["filter"].values()):
        raise UsageError('`filter` holds texts, as the URL of the list does: {"status": "503"}')
    return given
