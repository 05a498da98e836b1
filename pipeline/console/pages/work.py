"""A change of many rows that is under way: how far it is, and stopping it."""

from __future__ import annotations

from aiohttp import web

from pipeline.console.context import Asked
from pipeline.console.render import data, page
from pipeline.console.selections import NOUNS, told


async def show(asked: Asked) -> web.StreamResponse:
    """Return how far it is; the page asks again by itself until it has ended."""
    work = asked.console.works.find(asked.name("id"))
    if asked.wants_data:
        return data(work.to_json())
    words, kind = ("", "") if work.state == "running" else told(work)
    return await page(asked, "work.html", work=work, noun=NOUNS[work.action], words=words, kind=kind)


async def stop(asked: Asked) -> web.StreamResponse:
    """Ask for no more rows; what is changed stays changed."""
    work = asked.console.works.find(asked.name("id"))
    asked.audit("other", work.id)
    work.stop()
    return asked.go(f"/work/{work.id}")
