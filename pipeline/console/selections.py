"""Bulk changes: what is selected is counted first, confirmed, and then exactly that is changed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from aiohttp import web

from pipeline.console.context import RequestContext
from pipeline.console.filters import Filter
from pipeline.console.render import page
from pipeline.console.security.audit import Action
from pipeline.model.errors import UsageError
from pipeline.model.words import counted
from pipeline.operate.kept.chosen import Chosen, Moved, grouped
from pipeline.operate.kept.works import Work

COUNT_SECS: Final = 8.0
"""How long a selection may be counted; a page waits no longer than ten seconds."""
WAIT_SECS: Final = 2.0
"""How long a page waits for a change before it shows its progress."""
TYPED_OVER: Final = 1_000
"""For more rows, the webhook's id or their number must be typed to confirm."""
NOUNS: Final = {"replay": "dead letter", "purge": "dead letter", "drop": "request"}
DONE: Final = {
    "replay": "to be sent again",
    "purge": "deleted for good",
    "drop": "given up: dead letters now",
}
_AUDITED: Final[dict[str, Action]] = {"replay": "replay", "purge": "purge", "drop": "drop"}


def to_type(chosen: Chosen) -> str:
    """Return what must be typed to confirm a change of this many rows; "" where nothing."""
    if len(chosen.rows) <= TYPED_OVER:
        return ""
    webhooks = chosen.webhooks
    return webhooks[0] if len(webhooks) == 1 and webhooks[0] != "-" else str(len(chosen.rows))


async def act(context: RequestContext, choose: Callable[[], Chosen], digest: str, typed: str | None) -> Work:
    """Change what was shown under this digest; later additions stay. Returns soon, with the work.

    typed: the confirmation that a person typed; None: not a person. Raises Moved where there is more than was
    shown, UsageError for a wrong confirmation.
    """
    console = context.console
    if not digest:
        raise UsageError("the digest is missing: count the selection first, and say what was counted")
    chosen = await context.run(choose)
    wanted = to_type(chosen)
    if wanted and typed is not None and typed.strip().replace(",", "") != wanted:
        raise UsageError(f"type `{wanted}` to confirm: {len(chosen.rows):,} are selected")
    exact = console.shown.exactly(chosen, digest)
    context.audit(_AUDITED[exact.action], count=len(exact.rows), digest=digest)
    work = console.works.begin(exact)
    await context.run(work.wait, WAIT_SECS)
    return work


async def count_page(
    context: RequestContext,
    found: Filter[Any],
    chosen: Chosen,
    place: str,
    shown: Callable[[str], str],
    wrong: tuple[str, int] = ("", 200),
) -> web.StreamResponse:
    """Return the page that asks to confirm a change of what was counted.

    place: the path of the list. shown: a reason, as the viewer may see it. wrong: the error of the last
    attempt, and its status.
    """
    problem, status = wrong
    return await page(
        context,
        "selection.html",
        status=status,
        action=chosen.action,
        noun=NOUNS[chosen.action],
        path=f"{place}/selection",
        back=found.link(place),
        typed=found.typed,
        chosen=chosen,
        digest=context.console.shown.show(chosen),
        groups=[(one, shown(one.reason)) for one in grouped(chosen.counts)],
        to_type=to_type(chosen),
        problem=problem,
    )


async def confirmed(
    context: RequestContext,
    form: Mapping[str, str],
    choose: Callable[[], Chosen],
    again: Callable[[tuple[str, int]], Awaitable[web.StreamResponse]],
    back: str,
) -> web.StreamResponse:
    """Make the change that a form confirms, then go ``back``; ``again`` shows the count with the error."""
    try:
        work = await act(context, choose, form.get("digest", ""), form.get("typed", ""))
    except (Moved, UsageError) as error:
        context.unchanged()
        return await again((str(error), 409 if isinstance(error, Moved) else 422))
    if work.state == "running":
        return context.go(f"/work/{work.id}")
    context.say(*told(work))
    return context.go(back)


def told(work: Work) -> tuple[str, str]:
    """Return the result of a change, and whether it is good."""
    noun = NOUNS[work.action]
    if work.state == "failed":
        return f"It failed after {counted(work.done, noun)}: {work.error}", "bad"
    when = ", at the job's next start" if work.at_next_start else ""
    words = f"{counted(work.done, noun)} {DONE[work.action]}{when}."
    if work.state == "stopped":
        words = f"Stopped. {words} {work.total - work.passed:,} were left."
    elif work.passed > work.done and not work.at_next_start:
        words += f" {work.passed - work.done:,} were not: they were gone, or still cannot be rendered."
    if work.stay:
        words += f" {counted(work.stay, 'record')} that could not be read stayed."
    return words, "good" if work.done else "bad"
