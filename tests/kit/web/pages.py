"""A console served in this process, asked as curl and browsers ask: no browser, no second process.

``served(folder)`` listens on a free port; `Caller.ask` sends a request. What a browser would add (Host,
Sec-Fetch-Site, cookies) is said in each test.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from pipeline.config.models.installation.console import ConsoleSection
from pipeline.console.context import Console
from pipeline.console.security.roles import ROLES
from pipeline.console.serving.service import check_door, serve
from tests.kit.programs.run import until

OURS = {"sec-fetch-site": "same-origin"}
WEBHOOK = """\
id: crm
trigger: {events: [Purchase]}
request: {url: "https://crm.example/hook", body: {who: "{{ user.id }}"}}
"""


@dataclass(slots=True)
class Reply:
    """An answer."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def cookie(self) -> str:
        """The session that was given, as a browser sends it back."""
        return self.headers.get("set-cookie", "").partition(";")[0]


@dataclass(slots=True)
class Caller:
    """A console that is served, and who asks it."""

    console: Console
    port: int
    links: list[str] = field(default_factory=list)
    """Those that the terminal has shown."""

    @property
    def config(self) -> Path:
        return self.console.config

    @property
    def audit(self) -> list[dict[str, Any]]:
        """The lines of the audit."""
        path = self.console.audit.path
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def ask(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] = {},
        body: Mapping[str, str] | bytes | None = None,
        *,
        token: str = "",
        cookie: str = "",
        follows: bool = True,
    ) -> Reply:
        """Send a request; a map as a form. token: of a role, or any other.

        follows: a redirection to the page that answers a form; no other one is followed.
        """
        sent = dict(headers)
        if token:
            sent["authorization"] = f"Bearer {token}"
        if cookie:
            sent["cookie"] = cookie
        raw = urlencode(body).encode() if isinstance(body, Mapping) else body
        if isinstance(body, Mapping):
            sent["content-type"] = "application/x-www-form-urlencoded"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        with contextlib.closing(connection):
            connection.request(method, path, raw, sent)
            found = connection.getresponse()
            # A stream never ends: its head is what these tests ask for.
            is_stream = found.headers.get_content_type() in ("text/event-stream", "application/x-ndjson")
            text = "" if is_stream else found.read().decode("utf-8", "replace")
            reply = Reply(found.status, {k.lower(): v for k, v in found.getheaders()}, text)
        where = reply.headers.get("location", "")
        return self.ask("GET", where, OURS, cookie=cookie) if follows and "?answer=" in where else reply

    def log_in(self, token: str = "", **headers: str) -> Reply:
        """Post a token to the page; by default that of the last link."""
        said = token or self.links[-1].partition("#token=")[2]
        return self.ask("POST", self.console.section.base_path + "/login", OURS | headers, {"token": said})


def write_tokens(path: Path) -> Path:
    """Write a token file in which each role has a token that is its name."""
    path.write_text("".join(f"{one} {one}-bot {sha256(one.encode()).hexdigest()}\n" for one in ROLES))
    return path


@contextlib.contextmanager
def served(
    folder: Path, webhooks: Mapping[str, str] = {"crm": WEBHOOK}, *, tokens: bool = True, **options: Any
) -> Iterator[Caller]:
    """Serve a console over a config of these webhooks; options: those of `console`."""
    config = folder / "config"
    (config / "webhooks").mkdir(parents=True, exist_ok=True)
    for name, text in webhooks.items():
        (config / "webhooks" / f"{name}.yaml").write_text(text)
    if tokens:
        options.setdefault("tokens", str(write_tokens(folder / "tokens")))
    given = ConsoleSection(**{"listen": "127.0.0.1:0", **options})
    check_door(given)
    links: list[str] = []
    ended = threading.Event()
    console = Console(config, folder / "state", given)
    thread = threading.Thread(
        target=lambda: asyncio.run(serve(console, links.append, stopped=ended.is_set)), daemon=True
    )
    thread.start()
    try:
        until(lambda: links)
        yield Caller(console, console.port, links)
    finally:
        ended.set()
        thread.join(20)
        assert not thread.is_alive()
