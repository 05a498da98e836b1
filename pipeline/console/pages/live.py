"""The Live page: a tap of the running job; without scripts, the recent attempts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any, Final

from aiohttp import web

from pipeline.admin.socket_client import NotRunning
from pipeline.console.api.tap import EVENTS, filters_of, shown, streaming
from pipeline.console.context import RequestContext
from pipeline.console.render import OptionalFields, data, fragment, page
from pipeline.job.tap.wanted import STAGES
from pipeline.match.advice import culprit
from pipeline.model.errors import HooklineError
from pipeline.operate.running import looks
from pipeline.operate.tap.filters import Filters
from pipeline.operate.tap.follow import Line
from pipeline.operate.tap.retry_words import retry_words

MOST_ROWS: Final = 200
"""Rows on the page; live.js keeps to it."""
LAST_ROWS: Final = 50
GONE: Final = 410
RATES: Final = (10, 100, 1000)
_WHY: Final = frozenset({"unmatched", "skipped"})


@dataclass(slots=True, frozen=True)
class LiveRow:
    """One line as the page says it."""

    line: OptionalFields
    time: str
    stage: str
    kind: str
    """Which tone: good, warn, bad, idle."""
    answer: str
    """What became of an attempt, or why there is none; "" for the rest."""

    @classmethod
    def of(cls, line: Line) -> LiveRow:
        """Return the row of a line."""
        kind, answer = _told(line)
        return cls(OptionalFields(line), str(line["at"])[11:23], str(line["stage"]), kind, answer)


def _told(line: Mapping[str, Any]) -> tuple[str, str]:
    stage, reason = line["stage"], str(line.get("reason") or "")
    if stage not in ("sent", "dead"):
        tone = {"invalid": "bad", "matched": "good", "suppressed": "warn", "unmatched": "warn"}
        return tone.get(str(stage), "idle"), reason or culprit(line.get("why") or ())
    status = str(line.get("status") or "no answer")
    took = f", {line['ms']:.0f} ms" if isinstance(line.get("ms"), int | float) else ""
    attempt = line.get("attempt")
    which = f", attempt {attempt}" if isinstance(attempt, int) and attempt > 1 else ""
    match line.get("outcome"):
        case "delivered":
            return "good", f"{status} delivered{which}{took}"
        case "retry" if line.get("status") == GONE:
            return "bad", f"{status} gone: kept until it is enabled again{which}{took}"
        case "retry":
            return "warn", f"{status}, {retry_words(line)}{which}{took}"
        case _:
            return "bad", f"{status}, dead letter{f' ({reason})' if reason else ''}{which}{took}"


async def show(context: RequestContext) -> web.StreamResponse:
    """Return the page, with the last attempts that fit the filters; rows come by `rows` where scripts run."""
    filters = _filters(context, ("format",))
    try:
        last = _fitting(await context.run(looks.attempts, context.console.state), filters)
        runs = True
    except NotRunning:
        last, runs = [], False
    seen = shown(context)
    rows = [LiveRow.of(seen(line)) for line in last[:LAST_ROWS]]
    if context.wants_json:
        return data({"running": runs, "rows": [row.line for row in rows]})
    return await page(
        context, "live.html",
        filters=filters, stages=STAGES, rate_choices=_rates(filters.rate), rows=rows, runs=runs,
        most=MOST_ROWS,
        stream=context.url("/live/rows") + (f"?{context.request.query_string}" if context.query else ""),
    )  # fmt: skip


def _filters(context: RequestContext, more: tuple[str, ...] = ()) -> Filters:
    """Return the filters of the page: who looks at what fired nothing wants to know why."""
    filters = filters_of(context, more)
    return replace(filters, why=not _WHY.isdisjoint(filters.stages))


def _rates(now: int) -> list[tuple[str, str]]:
    return [(str(rate), f"{rate:,} rows a second") for rate in sorted({*RATES, now})]


def _fitting(attempts: list[Line], filters: Filters) -> list[Line]:
    """Return the attempts, newest first, that a tap with these filters would have shown.

    Not kept with an attempt is what a filter by event or by condition asks for: then there are none.
    """
    if filters.events or filters.where is not None:
        return []
    found = []
    for one in attempts:
        line = {**one, "stage": "dead" if one["outcome"] == "dead" else "sent", "event": None}
        status = str(one["status"] or str(one.get("response") or "").partition(":")[0])
        if (
            ("sent" in filters.stages or line["stage"] in filters.stages)
            and _any(filters.webhooks, str(one["webhook"]))
            and filters.user in (None, one["user"])
            and filters.message in (None, one["webhook_id"])
            and (not filters.outcomes or one["outcome"] in filters.outcomes)
            and (not filters.statuses or status in filters.statuses or f"{status[:1]}xx" in filters.statuses)
        ):
            if filters.payload == "none":
                line.pop("request", None)
            found.append(line)
    return sorted(found, key=lambda line: str(line["at"]), reverse=True)


def _any(patterns: tuple[str, ...], name: str) -> bool:
    return not patterns or any(fnmatchcase(name, one) for one in patterns)


async def rows(context: RequestContext) -> web.StreamResponse:
    """Stream rows as parts of the page, newest first, and what is told above them."""
    filters = _filters(context)
    not_shown = 0
    try:
        async with streaming(context, filters, EVENTS, patient=True) as (answer, batches):
            async for batch in batches:
                parts = [
                    fragment(context, "live_told.html", notice=text, runs=batch.is_connected)
                    for text in batch.notices[-1:]
                ]
                if batch.counts is not None:
                    lately, not_shown = batch.counts["not_shown"] - not_shown, batch.counts["not_shown"]
                    told = {
                        "notice": None,
                        "counts": batch.counts,
                        "lately": lately,
                        "runs": batch.is_connected,
                    }
                    parts = [fragment(context, "live_told.html", **told)]
                if batch.lines:
                    new = [LiveRow.of(line) for line in reversed(batch.lines[-MOST_ROWS:])]
                    parts.append(fragment(context, "live_rows.html", rows=new))
                if parts:
                    await answer.write(_message("\n".join(parts)))
        return answer
    except HooklineError as error:
        # The page stays: what is wrong with its filters stands above them.
        text = fragment(context, "live_told.html", notice=str(error), wrong=True)
        return web.Response(text=text, content_type="text/html")


def _message(html: str) -> bytes:
    return b"".join(b"data: %s\n" % line.encode() for line in html.splitlines()) + b"\n"
