"""The Audit page: who did what, newest first."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from pipeline.console.context import RequestContext
from pipeline.console.render import OptionalFields, data, page
from pipeline.console.security.audit import ACTIONS
from pipeline.console.security.audit_reader import AuditPage, Wanted, read_page
from pipeline.model.errors import UsageError
from pipeline.model.times import format_iso, parse_when

MOST: Final = 50
_FIELDS: Final = ("action", "who", "target", "result", "since", "until")
RESULTS: Final = ("done", "refused", "unknown")


async def show(context: RequestContext) -> web.StreamResponse:
    """Return the page, or its lines as data. Raises UsageError."""
    query = {name: context.query.get(name, "").strip() for name in _FIELDS}
    asked, problems = {**query}, dict[str, str]()
    for name in ("since", "until"):
        try:
            asked[name] = _when(query[name])
        except (ValueError, OverflowError) as error:
            problems[name] = str(error)
    if problems and context.wants_data:
        raise UsageError("; ".join(f"{name}: {problem}" for name, problem in problems.items()))
    wanted = Wanted(**asked)
    said = context.query.get("before", "")
    if said and not (said.isascii() and said.isdecimal() and len(said) < 19):
        raise UsageError("`before` is the `next` of the page before")
    before = int(said) if said else None
    found = AuditPage([], None)
    if not problems:
        found = await context.run(read_page, context.console.audit.path, wanted, before, MOST)
    if context.wants_data:
        return data({"lines": found.lines, "next": found.next})
    return await page(
        context,
        "audit.html",
        status=422 if problems else 200,
        problems=problems,
        found=AuditPage([OptionalFields(line) for line in found.lines], found.next),
        query=query,
        filtered=any(query.values()),
        first=before is None,
        actions=[("", "any"), *((one, one) for one in ACTIONS)],
        results=[("", "any"), *((one, one) for one in RESULTS)],
    )


def _when(text: str) -> str:
    """Return a time as the log has it."""
    return format_iso(parse_when(text)) if text else ""
