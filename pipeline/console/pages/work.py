"""The page of a bulk change in progress: how far it is, and a button to stop it."""

from __future__ import annotations

from aiohttp import web

from pipeline.console.context import RequestContext
from pipeline.console.render import data, page
from pipeline.console.selections import NOUNS, told


async def show(context: RequestContext) -> web.StreamResponse:
    """Return how far it is; the page asks again by itself until it has ended."""
    work = context.console.works.find(context.name("id"))
    if context.wants_data:
        return data(work.to_json())
    words, kind = ("", "") if work.state == "running" else told(work)
    return await page(context, "work.html", work=work, noun=NOUNS[work.action], words=words, kind=kind)


async def stop(context: RequestContext) -> web.StreamResponse:
    """Ask for no more rows; what is changed stays changed."""
    work = context.console.works.find(context.name("id"))
    context.audit("other", work.id)
    work.stop()
    return context.go(f"/work/{work.id}")
