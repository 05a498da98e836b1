"""A console in this process, and somebody who asks it for pages as a browser without scripts does."""

from __future__ import annotations

import asyncio
import contextlib
import html
import http.client
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

import orjson
from aiohttp import web

from pipeline.console.app import make_app
from pipeline.console.context import Console, Options
from pipeline.console.security.roles import Role
from pipeline.console.security.sessions import COOKIE
from pipeline.model.json import Value


@dataclass(slots=True)
class Page:
    """What was answered."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Value:
        """The answer as a JSON value."""
        return orjson.loads(self.text)

    @property
    def fields(self) -> list[tuple[str, str]]:
        """What a browser would send of the page's one form for `edit`, without a button."""
        form = re.search(r'<form id="edit".*?</form>', self.text, re.S)
        return list(_fields(form[0] if form is not None else self.text))

    def field(self, name: str) -> str:
        """Return the text of one field."""
        return dict(self.fields)[name]


@dataclass(slots=True)
class Visitor:
    """Who is logged in."""

    port: int
    cookie: str
    sent: list[tuple[str, str]] = field(default_factory=list)

    def get(self, path: str, **headers: str) -> Page:
        """Return a page."""
        return self.ask("GET", path, None, headers)

    def post(self, path: str, fields: Sequence[tuple[str, str]], **headers: str) -> Page:
        """Send a form, and return what is answered; a redirection is not followed."""
        more = {"content-type": "application/x-www-form-urlencoded", **headers}
        return self.ask("POST", path, urlencode(fields).encode(), more)

    def send(self, page: Page, path: str, do: str = "", **typed: str) -> Page:
        """Send the form of a page with some fields typed (`header_0_name`), and a button."""
        new = {name.replace("_", "-"): value for name, value in typed.items()}
        fields = [(name, new.pop(name, value)) for name, value in page.fields]
        return self.post(path, [*fields, *new.items(), *([("do", do)] if do else [])])

    def ask(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Page:
        """Ask for anything."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        own = {"cookie": f"{COOKIE}={self.cookie}", "sec-fetch-site": "same-origin"}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, {**own, **named})
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return Page(answer.status, {name.lower(): value for name, value in answer.getheaders()}, text)


@contextlib.contextmanager
def console_at(config: Path, state: Path, *, role: Role = "editor", **options: bool) -> Iterator[Visitor]:
    """Serve a console from a thread, with somebody logged in."""
    console = Console(Options(config, state, **options))
    ready, port = threading.Event(), 0
    loop = asyncio.new_event_loop()
    ended = asyncio.Event()

    async def serve() -> None:
        nonlocal port
        runner = web.AppRunner(make_app(console), access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        ready.set()
        await ended.wait()
        await runner.cleanup()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    try:
        assert ready.wait(30)
        yield Visitor(port, console.sessions.open("ann", role))
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(30)
        loop.close()
        console.workbench.close()


def _fields(form: str) -> Iterator[tuple[str, str]]:
    pattern = r"<(input|select|textarea)\b([^>]*)>(?:\n?(.*?)</\1>)?"
    for tag, attributes, inner in re.findall(pattern, form, re.S):
        told = {name: html.unescape(value) for name, value in re.findall(r'([\w-]+)="([^"]*)"', attributes)}
        if "name" not in told:
            continue
        if tag == "select":
            chosen = re.search(r'<option value="([^"]*)" selected', inner)
            first = re.search(r'<option value="([^"]*)"', inner)
            found = chosen or first
            yield told["name"], html.unescape(found[1]) if found is not None else ""
        elif tag == "textarea":
            yield told["name"], html.unescape(inner).replace("\n", "\r\n")
        elif told.get("type") != "checkbox" or " checked" in attributes:
            yield told["name"], told.get("value", "")
