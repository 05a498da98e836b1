"""The Audit page: who did what, newest first."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from pipeline.console.context import RequestContext
from pipeline.console.render import Fields, data, page
from pipeline.console.security.audit import ACTIONS
from pipeline.console.security.audit_reader import AuditPage, Wanted, read_page
from pipeline.model.errors import UsageError

MOST: Final = 50
_FIELDS: Final = ("action", "who", "target", "result", "since", "until")
RESULTS: Final = ("done", "refused", "unknown")


async def show(context: RequestContext) -> web.StreamResponse:
    """Return the page, or its lines as data. Raises UsageError."""
    query = {name: context.query.get(name, "").strip() for name in _FIELDS}
    wanted = Wanted(**query)
    said = context.query.get("before", "")
    if said and not (said.isascii() and said.isdecimal() and len(said) < 19):
        raise UsageError("`before` is the `next` of the page before")
    before = int(said) if said else None
    found = await context.run(read_page, context.console.audit.path, wanted, before, MOST)
    if context.wants_data:
        return data({"lines": found.lines, "next": found.next})
    return await page(
        context,
        "audit.html",
        found=AuditPage([Fields(line) for line in found.lines], found.next),
        query=query,
        filtered=any(query.values()),
        first=before is None,
        actions=[("", "any"), *((one, one) for one in ACTIONS)],
        results=[("", "any"), *((one, one) for one in RESULTS)],
    )
