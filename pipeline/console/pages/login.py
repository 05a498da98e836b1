"""Log-in, with the link from the terminal or a token from the token file, and log-out."""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import quote

from aiohttp import web

from pipeline.console.context import RequestContext
from pipeline.console.render import page
from pipeline.console.security.audit import Act
from pipeline.console.security.identity import refuse_failing
from pipeline.console.security.sessions import LASTS_SECS

PROBLEM = (
    "This token is wrong, was used before, or is older than 15 minutes. `hookline console` prints a new link "
    "after each use, and when this page is opened after the last one has expired."
)


HTTP = (
    "This page came over plain HTTP, where your browser keeps no session of a console behind a proxy: open "
    "it by https://. The token is still good."
)


async def first(context: RequestContext) -> web.StreamResponse:
    """Lead somebody who is not logged in to the log-in, and from there back.

    A browser brings no cookie along a link of another site: such a page asks for itself once more.
    """
    if context.request.headers.get("sec-fetch-site") == "cross-site":
        return await page(context, "again.html")
    path = context.request.rel_url.raw_path_qs.removeprefix(context.console.section.base_path)
    return context.go("/login" if path == "/" else f"/login?then={quote(path, safe='/')}")


async def show(context: RequestContext) -> web.StreamResponse:
    """Return the page that takes the token; a script takes it out of the link (``/login#token=..``)."""
    if context.viewer.rights:
        return context.go("/")
    _show_anew(context)
    return await page(context, "login.html", problem="", then=_then(context.query.get("then", "")))


def _then(path: str) -> str:
    """Return a path of ours to go to after the log-in; never another site's."""
    return path if path[:1] == "/" and path[1:2] not in ("/", "\\") and path.isprintable() else "/"


def _show_anew(context: RequestContext) -> None:
    """Show who has the terminal another link where the last one has ended: whoever is here wants one."""
    if context.console.sessions.renewed():
        context.console.announce(context.console.sessions.once)


async def enter(context: RequestContext) -> web.StreamResponse:
    """Open a session for a token that is good; another one that the browser had ends."""
    console = context.console
    refuse_failing(console.throttle, context.address)
    form, headers = await context.form(), context.request.headers
    said, then = form.get("token", "").strip(), _then(form.get("then", ""))
    is_plain = "sec-fetch-site" not in headers and headers.get("origin", "").startswith("http:")
    if is_plain and console.section.behind_proxy:
        context.acts.append(Act("log in"))
        return await page(context, "login.html", status=HTTPStatus.FORBIDDEN, problem=HTTP, then=then)
    refuse_failing(
        console.throttle, context.address
    )  # of a thousand forms that were begun at once, ten count
    said = said.rpartition("#token=")[2]  # the whole link is as good
    if console.sessions.redeem(said):
        cookie = console.sessions.open("local", "editor")
        context.acts.append(Act("log in", who="local", role="editor"))
        console.announce(console.sessions.once)
    elif (token := console.tokens.find(said)) is not None:
        cookie = console.sessions.open(token.name, token.role, "token", token)
        context.acts.append(Act("log in", who=token.name, role=token.role))
    else:
        console.throttle.failed(context.address)
        _show_anew(context)
        context.acts.append(Act("log in"))
        return await page(context, "login.html", status=HTTPStatus.FORBIDDEN, problem=PROBLEM, then=then)
    console.sessions.close(context.request.cookies.get(console.sessions.cookie))
    answer = context.go(then)
    answer.set_cookie(
        console.sessions.cookie,
        cookie,
        path=context.url("/"),
        httponly=True,
        samesite="Strict",
        secure=console.section.behind_proxy,
        max_age=int(LASTS_SECS),
    )
    return answer


async def leave(context: RequestContext) -> web.StreamResponse:
    """End the session."""
    context.acts.append(Act("log out"))
    context.console.sessions.close(context.request.cookies.get(context.console.sessions.cookie))
    answer = context.go("/login")
    answer.del_cookie(context.console.sessions.cookie, path=context.url("/"))
    return answer
