"""The Webhooks page, and orders to many webhooks at once."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, get_args
from urllib.parse import urlencode

from aiohttp import web
from multidict import MultiDict

from pipeline.console.context import RequestContext
from pipeline.console.glance import Glance, glance
from pipeline.console.render import data, page
from pipeline.deliver.halts import Order
from pipeline.model.errors import UsageError
from pipeline.model.words import counted, one_of
from pipeline.operate.overview.rows import STATES, Listing
from pipeline.operate.overview.sampler import spark
from pipeline.operate.running.halts import Orders, foresee, give_order

PAGE: Final = 100
WORDS: Final = ("text", "state", "sort", "desc")
"""Of the URL."""
ORDERS: Final[tuple[Order, ...]] = get_args(Order)
DONE: Final = {"pause": "paused", "resume": "resumed", "disable": "disabled", "enable": "enabled"}


async def show(context: RequestContext) -> web.StreamResponse:
    """Return the list, filtered and sorted by the words of the URL."""
    seen = await glance(context)
    words = _words(context)
    listing = Listing(words.get("text", ""), words.get("state", ""), words.get("sort", "id"), "desc" in words)
    found = listing.of(seen.rows)
    start = context.number("from", 0)
    shown = found[start : start + PAGE]
    if not context.may("payloads"):
        shown = [replace(row, error="") for row in shown]  # what a receiver answers may quote what it got
    following = start + PAGE if start + PAGE < len(found) else None
    if context.wants_json:
        return data({"webhooks": [row.to_json() for row in shown], "count": len(found), "next": following})
    counts = {state: sum(row.state == state for row in seen.rows) for state in STATES}
    return await page(
        context,
        "webhooks.html",
        rows=shown,
        found=len(found),
        total=len(seen.rows),
        start=start,
        following=following,
        counts={state: number for state, number in counts.items() if number},
        attention=len(Listing(state="attention").of(seen.rows)),
        words={**dict.fromkeys(WORDS, ""), **words},
        sort=listing.sort,
        desc=listing.desc,
        link=lambda **changes: _link(words, changes),
        sparks={row.id: spark(context.console.sampler.lately(row.id, "matched")) for row in shown},
        known_secs=context.console.sampler.known_secs,
        problem=seen.problem,
        stands=seen.stands,
    )


async def orders(context: RequestContext) -> web.StreamResponse:
    """Ask what an order to many would come to, or give it: by ids, or to all that the list is filtered to."""
    form = await context.form()
    order = order_of(form.get("do", ""))
    seen = await glance(context)
    names = _names(form, seen)
    back = back_to(form)
    if not names:
        context.unchanged()
        context.say("Nothing was done: choose webhooks first.", "bad")
        return context.go(back)
    if len(names) > 1 and form.get("sure") != "yes":
        context.unchanged()
        found = foresee(names, order, seen.owed, seen.ages)
        return await page(
            context,
            "webhooks_order.html",
            order=order,
            found=found,
            owed=sum(one.pending for one in found),
            back=back,
            running=seen.stands.running,
        )
    given = await obey(context, seen, names, order)
    context.say(*told(order, given))
    return context.go(back)


async def obey(context: RequestContext, seen: Glance, names: list[str], order: Order) -> Orders:
    """Give an order to webhooks, each with its line in the audit."""
    for name in names:
        context.audit(order, name)
    console = context.console
    return await context.run(give_order, console.state, console.config, names, order, seen.ages)


def told(order: Order, orders: Orders) -> tuple[str, str]:
    """Return what became of it, and whether that is good."""
    refused = [one for one in orders.webhooks if one.refused]
    done = [one for one in orders.webhooks if not one.refused]
    when = "" if orders.now else " from the job's next start on"
    if len(done) == 1 and not refused:
        one = done[0]
        owed = f"; {counted(one.pending, 'request')} pending: {one.becomes}" if one.pending else ""
        return f"{one.id} is {DONE[order]}{when}{owed}.", "good"
    owed = f", {counted(sum(one.pending for one in done), 'request')} pending" if done else ""
    words = f"{counted(len(done), 'webhook')} {DONE[order]}{when}{owed}."
    if refused:
        words += f" {len(refused):,} were not: {refused[0].id}: {refused[0].refused}"
        words += f", and {len(refused) - 1:,} more." if len(refused) > 1 else "."
    return words, "bad" if refused else "good"


def back_to(form: MultiDict[str]) -> str:
    """Return the list as it was filtered and sorted when the form was sent."""
    return "/webhooks" + (f"?{form['back']}" if form.get("back") else "")


def order_of(word: str) -> Order:
    """Return the order that a form gives. Raises UsageError."""
    return one_of(word[:40], ORDERS, "order")


def _names(form: MultiDict[str], seen: Glance) -> list[str]:
    """Return the ids that a form names; those that are in no file any more can still be told."""
    known = {row.id for row in seen.rows if (row.file and row.id != row.file) or row.pending}
    if form.get("which") == "all":
        listing = Listing(form.get("text", ""), form.get("state", ""))
        return [row.id for row in listing.of(seen.rows) if row.id in known]
    names = list(dict.fromkeys(form.getall("id", [])))
    for name in names:
        if name not in known:
            raise UsageError(f"there is no webhook `{name[:100]}`")
    return names


def _words(context: RequestContext) -> dict[str, str]:
    given = {name: context.query.get(name, "").strip() for name in WORDS}
    return {name: value for name, value in given.items() if value}


def _link(words: dict[str, str], changes: dict[str, str | None]) -> str:
    kept = {name: value for name, value in {**words, **changes}.items() if value}
    return f"/webhooks?{urlencode(kept)}" if kept else "/webhooks"
