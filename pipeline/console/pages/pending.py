"""The Pending page: per webhook, and each pending request on disk; send it now or drop it."""

from __future__ import annotations

import time
from typing import Final

from aiohttp import web

from pipeline.console.context import RequestContext
from pipeline.console.filters import Filter, owed_filter
from pipeline.console.glance import glance
from pipeline.console.pages.dead_letters import webhook_ids
from pipeline.console.redaction import redacted_row
from pipeline.console.render import data, page
from pipeline.console.selections import COUNT_SECS, confirmed, count_page
from pipeline.model.errors import UsageError
from pipeline.model.json import Value
from pipeline.model.times import format_iso
from pipeline.operate.kept import outbox
from pipeline.operate.kept.chosen import Chosen
from pipeline.operate.kept.outbox import Owing
from pipeline.operate.kept.owed_pages import OwedPage, OwesAll, summary
from pipeline.operate.kept.owed_pages import page as owed_page
from pipeline.operate.kept.paging import PAGE_SECS
from pipeline.operate.running.waiting import SAID
from pipeline.outbox.reading.view import is_new

SHOWN: Final = 100
"""Webhooks that owe something; a page of a thousand takes seconds, and nobody reads it."""


async def show(context: RequestContext) -> web.StreamResponse:
    """Return each webhook that owes something, then what waits on disk, what is due first in front."""
    state = context.console.state
    found = owed_filter(context, context.query)
    part, owes = OwedPage([], None, 0, True), OwesAll([], True)
    if not await context.run(is_new, state):
        owes = await context.run(summary, state, PAGE_SECS, None if context.wants_data else SHOWN)
        if not found.problems:
            try:
                part = await context.run(owed_page, state, found.wanted, context.query.get("after") or None)
            except UsageError as error:
                found.problems["after" if "cursor" in str(error) else "webhook"] = str(error)
    if context.wants_data:
        found.require()
        return data(_listed(context, part, owes))
    seen = await glance(context)
    lanes = seen.stands.lanes
    return await page(
        context,
        "pending.html",
        status=422 if found.problems else 200,
        filter=found,
        part=part,
        rows=[redacted_row(context, outbox.to_json(one)) for one in part.rows],
        owes=owes,
        now=format_iso(time.time_ns() // 1_000_000),
        states={row.id: row.state for row in seen.rows},
        lanes=lanes,
        why={name: SAID.get(str(lane["why"]), str(lane["why"])) for name, lane in lanes.items()},
        running=seen.stands.running,
        webhooks=await webhook_ids(context),
    )


def _listed(context: RequestContext, part: OwedPage, owes: OwesAll) -> dict[str, Value]:
    """Return a page of what waits as data."""
    found: dict[str, Value] = {
        "pending": [redacted_row(context, outbox.to_json(one)) for one in part.rows],
        "later": part.later,
        "looked_at": part.looked_at,
        "is_complete": part.is_complete,
        "webhooks": [one.to_json() for one in owes.webhooks],
    }
    if not context.may("payloads"):
        for one in found["webhooks"]:
            one["response"] = ""
    return found


async def send_now(context: RequestContext) -> web.StreamResponse:
    """Make what waits for a webhook due now."""
    form = await context.form()
    webhook = form.get("webhook", "")
    context.audit("send now", webhook)
    await context.run(outbox.retry_now, context.console.state, webhook)
    context.say(f"{webhook}: everything pending is due now.")
    return context.go("/pending")


async def count(context: RequestContext) -> web.StreamResponse:
    """Return what would be given up. Changes nothing."""
    return await _count(context, owed_filter(context, context.query))


async def _count(
    context: RequestContext, found: Filter[Owing], wrong: tuple[str, int] = ("", 200)
) -> web.StreamResponse:
    chosen = await context.run(_choose, context, found.require())
    return await count_page(context, found, chosen, "/pending", str, wrong)


def _choose(context: RequestContext, owing: Owing) -> Chosen:
    return outbox.choose(context.console.state, owing, COUNT_SECS)


async def change(context: RequestContext) -> web.StreamResponse:
    """Give up what was counted: just that."""
    form = await context.form()
    found = owed_filter(context, form)
    owing = found.require()
    return await confirmed(
        context,
        form,
        lambda: _choose(context, owing),
        lambda wrong: _count(context, found, wrong),
        found.link("/pending"),
    )
