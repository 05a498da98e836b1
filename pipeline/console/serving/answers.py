"""A page that answers a form has a URL of its own: Back and Reload ask for that and send no form again."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from http import HTTPStatus
from typing import Final

from aiohttp import web

from pipeline.console.context import RequestContext
from pipeline.console.security.roles import Right
from pipeline.console.security.sessions import Session

MOST: Final = 16
MOST_BYTES: Final = 8 << 20
"""Of the answers kept for each session; the oldest are dropped."""
MOST_OF_ALL: Final = 64 << 20
"""Bytes of the answers kept for all sessions; who has most loses its oldest."""
_KEPT: Final = (200, 400, 409, 412, 422)
_NAME: Final = "answer"


@dataclass(slots=True, frozen=True)
class Answer:
    """A page as it was shown once."""

    rights: frozenset[Right]
    """Of who saw it; shown to nobody with others."""
    status: int
    body: bytes
    nonce: str
    before: str
    """The answer whose form was sent; "" where it was the page itself."""


def led(context: RequestContext, page: str, response: web.StreamResponse) -> web.StreamResponse:
    """Return the answer to a request, or what leads a browser to it: a page that a form was answered with is
    kept. Those that led to a success are not: Back shows what there is now. Those of other tabs stay.

    page: the path of the page that the form is on, without the base path.
    """
    session = context.session
    if session is None or context.is_partial or context.request.method != "POST":
        return response
    before = f"{page}?{_NAME}={context.query[_NAME]}" if _NAME in context.query else ""
    if response.status == HTTPStatus.SEE_OTHER:
        while isinstance(one := session.answers.pop(before, None), Answer):
            before = one.before
        return response
    if not isinstance(response, web.Response) or not isinstance(response.body, bytes):
        return response
    if response.content_type != "text/html" or response.status not in _KEPT:
        return response
    room = MOST_BYTES - len(response.body)
    while session.answers and (len(session.answers) >= MOST or _size(session) > room):
        del session.answers[next(iter(session.answers))]
    key = f"{page}?{_NAME}={secrets.token_hex(8)}"
    # Its forms tell which answer they stand on.
    forms, named = (f'action="{escape(context.url(at))}"'.encode() for at in (page, key))
    body = response.body.replace(forms, named)
    session.answers[key] = Answer(context.viewer.rights, response.status, body, context.nonce, before)
    make_room(context.console.sessions.all())
    return context.go(key)


def make_room(sessions: Sequence[Session], most_bytes: int = MOST_OF_ALL) -> None:
    """Drop the oldest answers of who has most, until those of all sessions are no more than this."""
    while sum(map(_size, sessions)) > most_bytes:
        answers = max(sessions, key=_size).answers
        del answers[next(iter(answers))]


def _size(session: Session) -> int:
    return sum(len(one.body) for one in session.answers.values() if isinstance(one, Answer))


def shown(context: RequestContext, page: str) -> web.StreamResponse | None:
    """Return the answer that a URL names, or what leads to its page where it is no longer kept; None where it
    names none.
    """
    name = context.query.get(_NAME)
    if name is None or context.session is None:
        return None
    found = context.session.answers.get(f"{page}?{_NAME}={name}")
    if not isinstance(found, Answer) or found.rights != context.viewer.rights:
        context.say("This page is as things are now: what it said before is done, or no longer kept.")
        return context.go(page)
    body = found.body.replace(found.nonce.encode(), context.nonce.encode())
    return web.Response(body=body, status=found.status, content_type="text/html", charset="utf-8")
