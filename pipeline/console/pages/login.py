"""Logging in with the link that the terminal shows, and out."""

from __future__ import annotations

from aiohttp import web

from pipeline.console.context import Asked
from pipeline.console.render import page
from pipeline.console.security.sessions import COOKIE, LASTS_SECS


async def show(asked: Asked) -> web.StreamResponse:
    """Return the page that takes the token; a script takes it out of the link (``/login#token=..``)."""
    if asked.viewer.rights:
        return asked.go("/")
    return await page(asked, "login.html", problem="")


async def enter(asked: Asked) -> web.StreamResponse:
    """Open a session for a token that is good."""
    token = (await asked.form()).get("token", "").strip()
    if not asked.console.sessions.redeem(token):
        problem = "This token is not good, or was used before. `hookline console` prints a new one each time."
        return await page(asked, "login.html", status=403, problem=problem)
    cookie = asked.console.sessions.open("local", "editor")
    answer = asked.go("/")
    answer.set_cookie(
        COOKIE, cookie, path=asked.url("/"), httponly=True, samesite="Strict", max_age=int(LASTS_SECS)
    )
    return answer


async def leave(asked: Asked) -> web.StreamResponse:
    """End the session."""
    asked.console.sessions.close(asked.request.cookies.get(COOKIE))
    answer = asked.go("/login")
    answer.del_cookie(COOKIE, path=asked.url("/"))
    return answer
