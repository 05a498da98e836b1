"""Errors as the client wants them: a page for people, JSON for programs, a line for scripts."""

from __future__ import annotations

import asyncio
import traceback
from http import HTTPStatus
from typing import Final

from aiohttp import web

from pipeline.console.context import RequestContext
from pipeline.console.render import page
from pipeline.console.security.audit import AuditFailed
from pipeline.model.errors import ConfigError, HooklineError, UsageError
from pipeline.operate.files.edits import Changed
from pipeline.telemetry import log

_log = log.get("console")
_AGAIN_SECS = 2
_READING = (
    "The config is being read for the first time since the console started, which takes some seconds with "
    "many webhooks. This page then loads by itself."
)
_AGAIN: Final = (
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
"""Transient errors: the input is kept in their page."""
_TYPED_SECS: Final = 15.0
"""How long to wait for the rest of a form."""
_IN_PART: Final[dict[int, str]] = {
    HTTPStatus.UNAUTHORIZED: (
        "You are logged out. What you typed stays here: log in in another tab, then continue."
    )
}
"""The message on a page when its scripts' request fails, in place of the general text."""


def status_of(error: Exception) -> int:
    """Return the HTTP status for an error."""
    match error:
        case web.HTTPException():
            return error.status
        case AuditFailed() | TimeoutError():
            return HTTPStatus.SERVICE_UNAVAILABLE
        case Changed():
            return HTTPStatus.PRECONDITION_FAILED
        case ConfigError():
            return HTTPStatus.UNPROCESSABLE_ENTITY
        case UsageError():
            return HTTPStatus.BAD_REQUEST
        case HooklineError():
            return HTTPStatus.CONFLICT
        case _:
            return HTTPStatus.INTERNAL_SERVER_ERROR


async def told(context: RequestContext, status: int, error: Exception) -> web.StreamResponse:
    """Return an error for the client: JSON for the API, a page for a person."""
    findings = error.findings if isinstance(error, ConfigError) else ()
    headers: dict[str, str] = {}
    match error:
        case web.HTTPException():
            words = error.reason
            if words == HTTPStatus.NOT_FOUND.phrase:
                words = "there is no such page: the address is wrong, or what it was about is gone"
            headers = {k: v for k, v in error.headers.items() if k.lower() in ("retry-after", "allow")}
        case HooklineError():
            words = str(error)
        case TimeoutError() if not (context.console.workbench.is_read or context.acts):
            words = _READING
            headers = {"retry-after": str(_AGAIN_SECS)}
            if context.request.method == "GET":
                headers["refresh"] = str(_AGAIN_SECS)
        case TimeoutError():
            words = "this takes too long: " + ("look whether it was done" if context.acts else "try again")
        case _:
            _log.error(
                "a page failed", path=context.request.path, error="".join(traceback.format_exception(error))
            )
            words = "this is a fault of Hookline; the console's log says more"
    if status == HTTPStatus.UNAUTHORIZED:
        headers["www-authenticate"] = "Bearer"
    if context.wants_data:
        body = {"error": words, **({"findings": [one.to_json() for one in findings]} if findings else {})}
        return web.json_response(body, status=status, headers=headers)
    if context.is_partial:
        return web.Response(status=status, headers=headers, text=f"{_IN_PART.get(status, words)}\n")
    shown = await page(
        context,
        "error.html",
        status=status,
        title=HTTPStatus(status).phrase,
        words=words,
        findings=findings,
        typed=await _typed(context, status, error),
    )
    shown.headers.update(headers)
    return shown


async def _typed(context: RequestContext, status: int, error: Exception) -> list[tuple[str, str]]:
    """Return the fields of a form that may be sent again: nobody wants to type a page twice."""
    if context.request.method != "POST" or status not in _AGAIN:
        return []
    if context.typed is None and not isinstance(error, TimeoutError):  # it was not read yet
        try:
            async with asyncio.timeout(_TYPED_SECS):
                await context.form()
        except (HooklineError, web.HTTPException, TimeoutError, OSError):
            return []
    return [] if context.typed is None else [*context.typed.items()]
