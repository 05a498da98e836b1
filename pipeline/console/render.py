"""Renders templates: every value is escaped, every missing name is an error."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import quote

import orjson
from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pipeline.console.context import RequestContext
from pipeline.console.files import asset
from pipeline.console.security.masks import HIDDEN
from pipeline.model.json import Value
from pipeline.model.printable import escaped, one_line, printable, printable_json

NAVIGATION: Final = (
    ("/", "Overview"),
    ("/webhooks", "Webhooks"),
    ("/live", "Live"),
    ("/dead-letters", "Dead letters"),
    ("/pending", "Pending"),
    ("/events", "Events"),
    ("/config", "Config"),
    ("/audit", "Audit"),
)
"""The links of the sidebar, in order."""
_MOVING: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]"
)
"""Controls and direction marks; not what joins letters of words and emoji."""


class OptionalFields(dict[str, Value]):
    """A line for a template: a field that it does not have is None."""

    def __missing__(self, name: str) -> Value:
        return None


def number(value: int | float) -> str:
    """Return 1234 as ``1,234``."""
    return f"{value:,}"


def duration(secs: float | None) -> str:
    """Return seconds for people: ``4 s``, ``3 min``, ``2.5 h``, ``12 d``."""
    if secs is None:
        return "–"
    for most, unit, size in ((1, "ms", 0.001), (120, "s", 1), (7200, "min", 60)):
        if secs < most:
            return f"{secs / size:.0f} {unit}"
    return f"{secs / 3600:.3g} h" if secs < 172_800 else f"{secs / 86_400:.3g} d"


def ms(value: float | None) -> str:
    """Return milliseconds for people: ``0.4 ms``, ``188 ms``, ``1.02 s``."""
    if not value:
        return "–"
    return f"{value:.1f} ms" if value < 10 else f"{value:.0f} ms" if value < 1000 else f"{value / 1000:.3g} s"


def rate(per_second: float | None) -> str:
    """Return a rate for people: ``0``, ``0.25``, ``12``, ``1,234``; ``–`` for None."""
    if per_second is None:
        return "–"
    return f"{per_second:,.0f}" if per_second >= 10 or not per_second else f"{per_second:.2g}"


def size(count: int | None) -> str:
    """Return bytes for people: ``12 kB``, ``3.4 GB``."""
    if count is None:
        return "–"
    for unit, of in (("B", 1), ("kB", 10**3), ("MB", 10**6), ("GB", 10**9)):
        if count < 1000 * of:
            return f"{count / of:.3g} {unit}"
    return f"{count / 10**12:.3g} TB"


def webhook_path(webhook_id: str) -> str:
    """Return the path of a webhook's page."""
    return f"/webhooks/{quote(webhook_id, safe='')}"


def indented(text: str) -> str:
    """Return a text with its JSON indented, and invisible characters escaped."""
    try:
        return printable(pretty(orjson.loads(text)) if text[:1] in ("{", "[") else text)
    except ValueError:
        return printable(text)


def visible(text: object) -> str:
    """Return what a stranger gave on one line, invisible characters escaped: it looks like no other."""
    return one_line(str(text))


def as_written(text: str) -> str:
    """Return the text of a file; what would reverse it or hide a part of it is escaped."""
    return _MOVING.sub(lambda found: escaped(found.group()), text)


def when(ms: int | None) -> str:
    """Return unix milliseconds as ``2026-11-29 11:35:02``, in UTC; ``–`` for None."""
    return "–" if ms is None else datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def pretty(value: Value) -> str:
    """Return a value as indented JSON, invisible characters escaped."""
    return printable_json(orjson.dumps(value, option=orjson.OPT_INDENT_2, default=str).decode())


def compact(value: Value) -> str:
    """Return a value as JSON in one line."""
    return orjson.dumps(value, default=str).decode()


def _environment() -> Environment:
    found = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    filters = (
        number,
        duration,
        when,
        pretty,
        ms,
        rate,
        size,
        webhook_path,
        indented,
        compact,
        visible,
        as_written,
    )
    found.filters |= {one.__name__: one for one in filters}
    found.globals |= {"NAVIGATION": NAVIGATION, "HIDDEN": HIDDEN, "asset": asset}
    return found


_ENVIRONMENT: Final = _environment()


async def page(
    context: RequestContext, template: str, *, status: int = 200, **values: object
) -> web.Response:
    """Return a page; values: what its template names, beside what every page has.

    Every template may use: asked, viewer, may(right), url(path), here (the path), said (what is told once),
    job (what the processes of the job say, [] where none runs), nonce, read_only.
    """
    job = await context.console.job() if context.viewer.rights else []
    said: list[tuple[str, str]] = []
    if context.session is not None and not context.is_partial:
        said, context.session.said = context.session.said, []
    text = _ENVIRONMENT.get_template(template).render(
        {
            "context": context,
            "viewer": context.viewer,
            "may": context.may,
            "url": context.url,
            "here": context.path,
            "said": said,
            "job": job,
            "nonce": context.nonce,
            "read_only": context.console.section.read_only,
            **values,
        }
    )
    # User input may contain lone surrogates.
    body = text.encode("utf-8", "backslashreplace")
    return web.Response(body=body, status=status, content_type="text/html", charset="utf-8")


def fragment(context: RequestContext, template: str, **values: object) -> str:
    """Return a part of a page, for a stream or for htmx; values: the template's names, besides may, url."""
    return _ENVIRONMENT.get_template(template).render(
        {"context": context, "may": context.may, "url": context.url, **values}
    )


def data(value: Value | Mapping[str, Value], *, status: int = 200) -> web.Response:
    """Return JSON."""
    try:
        body = orjson.dumps(value, default=str)
    except TypeError:  # a lone surrogate, which is not valid UTF-8
        body = json.dumps(value, default=str).encode()
    return web.Response(body=body, status=status, content_type="application/json")
