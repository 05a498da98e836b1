"""What is owed: per webhook, and each request that waits on disk; sent now, or given up."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from pipeline.console.context import Asked
from pipeline.console.filters import Filter, owed_filter
from pipeline.console.glance import glance
from pipeline.console.pages.dead_letters import webhook_ids
from pipeline.console.render import data, page
from pipeline.console.selections import COUNT_SECS, confirmed, count_page
from pipeline.console.veils import veiled
from pipeline.model.errors import UsageError
from pipeline.model.json import Value
from pipeline.operate.kept import outbox
from pipeline.operate.kept.capped import CAP_SECS
from pipeline.operate.kept.chosen import Chosen
from pipeline.operate.kept.outbox import Owing
from pipeline.operate.kept.owed_pages import OwedPage, OwesAll, summary
from pipeline.operate.kept.owed_pages import page as owed_page
from pipeline.operate.running.waiting import SAID
from pipeline.outbox.reading.view import is_new

SHOWN: Final = 100
"""Webhooks that owe something; a page of a thousand takes seconds, and nobody reads it."""


async def show(asked: Asked) -> web.StreamResponse:
    """Return each webhook that owes something, then what waits on disk, what is due first in front."""
    state = asked.console.options.state
    found = owed_filter(asked, asked.query)
    part, owes = OwedPage([], None, 0, True), OwesAll([], True)
    if not await asked.run(is_new, state):
        owes = await asked.run(summary, state, CAP_SECS, None if asked.wants_json else SHOWN)
        if not found.problems:
            try:
                part = await asked.run(owed_page, state, found.wanted, asked.query.get("after") or None)
            except UsageError as error:
                found.problems["after" if "cursor" in str(error) else "webhook"] = str(error)
    if asked.wants_json:
        found.require()
        return data(listed(asked, part, owes))
    seen = await glance(asked)
    lanes = seen.stands.lanes
    return await page(
        asked,
        "pending.html",
        status=422 if found.problems else 200,
        filter=found,
        part=part,
        rows=[veiled(asked, outbox.to_json(one)) for one in part.rows],
        owes=owes,
        states={row.id: row.state for row in seen.rows},
        lanes=lanes,
        why={name: SAID.get(str(lane["why"]), str(lane["why"])) for name, lane in lanes.items()},
        running=seen.stands.running,
        webhooks=await webhook_ids(asked),
    )


def listed(asked: Asked, part: OwedPage, owes: OwesAll | None) -> dict[str, Value]:
    """Return a page of what waits as data."""
    found: dict[str, Value] = {
        "pending": [veiled(asked, outbox.to_json(one)) for one in part.rows],
        "later": part.later,
        "looked_at": part.looked_at,
        "is_complete": part.is_complete,
    }
    if owes is not None:
        found["webhooks"] = [one.to_json() for one in owes.webhooks]
        if not asked.may("payloads"):
            for one in found["webhooks"]:
                one["response"] = ""
    return found


async def send_now(asked: Asked) -> web.StreamResponse:
    """Make what waits for a webhook due now."""
    form = await asked.form()
    webhook = form.get("webhook", "")
    asked.audit("send now", webhook)
    await asked.run(outbox.retry_now, asked.console.options.state, webhook)
    asked.say(f"{webhook}: everything that waits is due now.")
    return asked.go("/pending")


async def count(asked: Asked) -> web.StreamResponse:
    """Return what would be given up. Changes nothing."""
    return await _count(asked, owed_filter(asked, asked.query))


async def _count(
    asked: Asked, found: Filter[Owing], wrong: tuple[str, int] = ("", 200)
) -> web.StreamResponse:
    chosen = await asked.run(_choose, asked, found.require())
    return await count_page(asked, found, chosen, "/pending", str, wrong)


def _choose(asked: Asked, owing: Owing) -> Chosen:
    return outbox.choose(asked.console.options.state, owing, COUNT_SECS)


async def change(asked: Asked) -> web.StreamResponse:
    """Give up what was counted: just that."""
    form = await asked.form()
    found = owed_filter(asked, form)
    owing = found.require()
    return await confirmed(
        asked,
        form,
        lambda: _choose(asked, owing),
        lambda wrong: _count(asked, found, wrong),
        found.link("/pending"),
    )
