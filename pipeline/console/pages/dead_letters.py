"""The Dead letters page: filtered lists, single letters, and replay or purge of all that a filter selects."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Final, Literal, TypeAlias, get_args

import orjson
from aiohttp import web

from pipeline.console.context import RequestContext
from pipeline.console.filters import Filter, dead_filter
from pipeline.console.redaction import redacted_reason, redacted_row
from pipeline.console.render import data, page
from pipeline.console.security.headers import harden
from pipeline.console.selections import COUNT_SECS, act, confirmed, count_page, to_type, told
from pipeline.model.errors import ConfigError, UsageError
from pipeline.model.json import Value
from pipeline.model.printable import one_line
from pipeline.model.words import one_of
from pipeline.operate.kept import dlq
from pipeline.operate.kept.chosen import Chosen
from pipeline.operate.kept.dead_pages import DeadGroups, DeadPage, groups
from pipeline.operate.kept.dead_pages import page as dead_page
from pipeline.operate.kept.dead_records import records
from pipeline.operate.kept.dlq import Selection
from pipeline.operate.unsaved.today import Today, today
from pipeline.outbox.codec import DeadLetter
from pipeline.outbox.quota import place_of
from pipeline.outbox.reading.dead_letter_json import as_json_value, name_of, reason_of
from pipeline.outbox.reading.newest import PLACE_BYTES
from pipeline.outbox.reading.view import is_new

Action: TypeAlias = Literal["replay", "purge"]
NOTHING: Final = DeadGroups([], [], 0, 0, 0, True)
LINES: Final = 200
"""Of an export that are written at a time."""


async def show(context: RequestContext) -> web.StreamResponse:
    """Return groups by webhook and reason, then rows, the newest first."""
    state = context.console.state
    found = dead_filter(context, context.query)
    part, counted = DeadPage([], None), NOTHING
    if not found.problems and not await context.run(is_new, state):
        cursor = context.query.get("before") or None
        try:
            part = await context.run(dead_page, state, found.wanted, cursor)
            counted = NOTHING if cursor else await context.run(groups, state, found.wanted)
        except UsageError as error:
            found.problems["before" if "cursor" in str(error) else "webhook"] = str(error)
    if context.wants_data:
        found.require()
        return data(_listed(context, part, None if context.query.get("before") else counted))
    return await page(
        context,
        "dead_letters.html",
        status=422 if found.problems else 200,
        filter=found,
        part=part,
        rows=[_row(context, letter) for letter in part.letters],
        counted=counted,
        groups=[(group, redacted_reason(context, group.reason)) for group in counted.groups],
        is_first=not context.query.get("before"),
        is_new=await context.run(is_new, state),
        webhooks=await webhook_ids(context),
        works=context.console.works.running(),
    )


async def webhook_ids(context: RequestContext) -> list[str]:
    """Return the ids of webhooks, for a field that completes them."""
    try:
        return [str(one["id"]) for one in await context.run(context.console.workbench.webhooks) if one["id"]]
    except ConfigError:
        return []


def _listed(context: RequestContext, part: DeadPage, counted: DeadGroups | None) -> dict[str, Value]:
    """Return a page of dead letters as data."""
    found: dict[str, Value] = {
        "dead_letters": [redacted_row(context, as_json_value(letter)) for letter in part.letters],
        "older": part.older,
    }
    if part.looked_to is not None:
        found["looked_to"] = part.looked_to
    if counted is not None:
        found |= counted.to_json()
        for group in found["groups"]:
            group["reason"] = redacted_reason(context, group["reason"])
    return found


def _row(context: RequestContext, letter: DeadLetter) -> dict[str, Value]:
    place = place_of(letter)[-PLACE_BYTES:].hex()
    return {
        "name": name_of(letter),
        "path": f"/dead-letters/{name_of(letter)}?at={place}",
        "webhook": letter.request.webhook_id or "-",
        "kind": letter.kind,
        "at": letter.dead_ms,
        "reason": one_line(redacted_reason(context, reason_of(letter))),
        "status": letter.progress.status,
        "attempts": letter.progress.attempt,
        "user": letter.request.user[2:] if context.may("payloads") else "",
        "origin": str(letter.origin).encode("utf-8", "backslashreplace").decode(),
    }


async def show_one(context: RequestContext) -> web.StreamResponse:
    """Return everything of one dead letter, and what would become of it today."""
    letter = await _find(context)
    facts = redacted_row(context, as_json_value(letter))
    now = await _today(context, letter)
    if context.wants_data:
        return data({**facts, "today": None if now is None else now.to_json()})
    return await page(
        context,
        "dead_letter.html",
        letter=facts,
        kind=letter.kind,
        today=now,
        name=name_of(letter),
        at=context.query.get("at", ""),
    )


async def _find(context: RequestContext) -> DeadLetter:
    return await context.run(
        dlq.find, context.console.state, context.name("name"), None, context.query.get("at", "")
    )


async def _today(context: RequestContext, letter: DeadLetter) -> Today | None:
    """Return what would become of it, for who may see what it is made of."""
    if not context.may("payloads") or context.console.mask:
        return None
    try:
        return await context.run(today, context.console.workbench, context.console.state, letter)
    except ConfigError as error:
        return Today(f"The config cannot be read: {error}"[:500], good=False)


async def count(context: RequestContext) -> web.StreamResponse:
    """Return what would be changed: exactly how many, of which webhook, for which reason. Changes nothing."""
    if not context.query:  # Back, to what is done
        return context.go("/dead-letters")
    return await _count(context, _does(context.query.get("do", "")), dead_filter(context, context.query))


async def _count(
    context: RequestContext,
    action: Action,
    found: Filter[Selection],
    wrong: tuple[str, int] = ("", 200),
) -> web.StreamResponse:
    chosen = await context.run(_choose, context, action, found.require())
    return await count_page(
        context, found, chosen, "/dead-letters", lambda reason: redacted_reason(context, reason), wrong
    )


def _choose(context: RequestContext, action: Action, selection: Selection) -> Chosen:
    return dlq.choose(context.console.state, action, selection, COUNT_SECS)


async def change(context: RequestContext) -> web.StreamResponse:
    """Send again or delete what was counted: just that."""
    form = await context.form()
    action = _does(form.get("do", ""))
    found = dead_filter(context, form)
    selection = found.require()
    return await confirmed(
        context,
        form,
        lambda: _choose(context, action, selection),
        lambda wrong: _count(context, action, found, wrong),
        found.link("/dead-letters", id=None),
    )


async def change_one(context: RequestContext) -> web.StreamResponse:
    """Send one again, or delete it: what is shown on its page is all of it."""
    form = await context.form()
    action = _does(form.get("do", ""))
    letter = await _find(context)
    selection = Selection(webhook=letter.request.webhook_id or "-", ids=(name_of(letter),))
    chosen = await context.run(_choose, context, action, selection)
    work = await act(context, lambda: chosen, chosen.digest(), to_type(chosen))
    context.say(*told(work))
    return context.go("/dead-letters")


def _does(word: str) -> Action:
    actions: tuple[Action, ...] = get_args(Action)
    return one_of(word[:40], actions, "action for dead letters")


async def export(context: RequestContext) -> web.StreamResponse:
    """Return all that is selected as a file: JSON lines, or unreadable records as a recording."""
    state = context.console.state
    selection = dead_filter(context, context.query).require()
    as_recording = context.query.get("as") == "recording"
    letters = dlq.select(state, selection)
    lines = records(letters, state) if as_recording else (_line(context, letter) for letter in letters)
    name = "dead.rec.jsonl" if as_recording else "dead-letters.jsonl"
    first = await context.run(_some, lines)
    answer = web.StreamResponse(
        headers={
            "content-type": "application/octet-stream",
            "content-disposition": f'attachment; filename="{name}"',
        }
    )
    harden(answer, context.nonce)
    await answer.prepare(context.request)
    while first and context.is_welcome:
        await answer.write(first)
        first = await asyncio.to_thread(_some, lines)
    await answer.write_eof()
    return answer


def _line(context: RequestContext, letter: DeadLetter) -> bytes:
    return orjson.dumps(redacted_row(context, as_json_value(letter)), option=orjson.OPT_APPEND_NEWLINE)


def _some(lines: Iterator[bytes]) -> bytes:
    found = []
    for line in lines:
        found.append(line)
        if len(found) == LINES:
            break
    return b"".join(found)
