"""The first page: how the job stands, and what needs a person."""

from __future__ import annotations

from aiohttp import web

from pipeline.console.context import Asked
from pipeline.console.render import page


async def show(asked: Asked) -> web.StreamResponse:
    """Return the overview."""
    return await page(asked, "overview.html")
