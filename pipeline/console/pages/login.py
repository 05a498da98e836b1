"""Logging in with the link that the terminal shows or with a token of the token file, and out."""

from __future__ import annotations

from http import HTTPStatus

from aiohttp import web

from pipeline.console.context import Asked
from pipeline.console.render import page
from pipeline.console.security.audit import Act
from pipeline.console.security.identity import refuse_failing
from pipeline.console.security.sessions import LASTS_SECS

PROBLEM = (
    "This token is not good, or was used before, or is older than 15 minutes. The terminal of `hookline "
    "console` shows a new link after each one that was used, and when this page is opened after its end."
)


async def show(asked: Asked) -> web.StreamResponse:
    """Return the page that takes the token; a script takes it out of the link (``/login#token=..``)."""
    if asked.viewer.rights:
        return asked.go("/")
    _show_anew(asked)
    return await page(asked, "login.html", problem="")


def _show_anew(asked: Asked) -> None:
    """Show who has the terminal another link where the last one has ended: whoever is here wants one."""
    if asked.console.sessions.renewed():
        asked.console.announce(asked.console.sessions.once)


async def enter(asked: Asked) -> web.StreamResponse:
    """Open a session for a token that is good; another one that the browser had ends."""
    console = asked.console
    refuse_failing(console.throttle, asked.address)
    said = (await asked.form()).get("token", "").strip()
    refuse_failing(console.throttle, asked.address)  # of a thousand forms that were begun at once, ten count
    said = said.rpartition("#token=")[2]  # the whole link is as good
    if console.sessions.redeem(said):
        cookie = console.sessions.open("local", "editor")
        asked.acts.append(Act("log in", who="local", role="editor"))
        console.announce(console.sessions.once)
    elif (token := console.tokens.find(said)) is not None:
        cookie = console.sessions.open(token.name, token.role, "token", token)
        asked.acts.append(Act("log in", who=token.name, role=token.role))
    else:
        console.throttle.failed(asked.address)
        _show_anew(asked)
        asked.acts.append(Act("log in"))
        return await page(asked, "login.html", status=HTTPStatus.FORBIDDEN, problem=PROBLEM)
    console.sessions.close(asked.request.cookies.get(console.sessions.cookie))
    answer = asked.go("/")
    answer.set_cookie(
        console.sessions.cookie,
        cookie,
        path=asked.url("/"),
        httponly=True,
        samesite="Strict",
        secure=console.options.behind_proxy,
        max_age=int(LASTS_SECS),
    )
    return answer


async def leave(asked: Asked) -> web.StreamResponse:
    """End the session."""
    asked.acts.append(Act("log out"))
    asked.console.sessions.close(asked.request.cookies.get(asked.console.sessions.cookie))
    answer = asked.go("/login")
    answer.del_cookie(asked.console.sessions.cookie, path=asked.url("/"))
    return answer
