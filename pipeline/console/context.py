"""What every handler is given: the console, the request, and who sent it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Final, ParamSpec, TypeVar
from urllib.parse import parse_qsl, quote

from aiohttp import web
from multidict import MultiDict, MultiMapping

from pipeline.admin.socket_client import ask
from pipeline.config.models.installation.console import ConsoleSection
from pipeline.console.security.audit import NAME, Act, Action, Audit
from pipeline.console.security.identity import is_still
from pipeline.console.security.masks import Mask
from pipeline.console.security.roles import Right, Viewer
from pipeline.console.security.sessions import Session, Sessions
from pipeline.console.security.throttle import Throttle
from pipeline.console.security.tokens import Tokens
from pipeline.console.turns import Turns
from pipeline.model.errors import HooklineError, UsageError
from pipeline.model.json import Value
from pipeline.model.process.private import require_own
from pipeline.operate.files.literals import hide_literals
from pipeline.operate.files.tree import Tree
from pipeline.operate.files.written import Written
from pipeline.operate.kept.chosen import ShownSelections
from pipeline.operate.kept.works import Works
from pipeline.operate.overview.sampler import Sampler
from pipeline.operate.running.looks import Looks, Sample
from pipeline.operate.unsaved.cases import case_samples
from pipeline.operate.unsaved.workbench import Workbench

P = ParamSpec("P")
T = TypeVar("T")

RUN_SECS: Final = 10.0
"""How long a page may wait for a config, a store or a job."""
JOB_SECS: Final = 1.0
"""How long the job's answer is reused, and how long a page waits for it."""
FORM_FIELDS: Final = 10_000
"""Anybody may post as many at the login: they are read within some 20 ms."""
FORM_BYTES: Final = 1 << 20
_OF_URLS: Final = "/?#&=%:;,@!$'()*+~[]"


class Console:
    """One console: everything that outlives a request.

    section: how it was started: `console` of pipeline.yaml, with variables and flags.
    """

    def __init__(self, config: Path, state: Path, section: ConsoleSection) -> None:
        self.config, self.state, self.section = config, state, section
        self.sessions, self.throttle = Sessions(), Throttle()
        self.tokens = Tokens(None if section.tokens is None else Path(section.tokens))
        self.mask = Mask(section.mask)
        self.written = Written(config, self.mask.names)
        """Secrets written out in files, and where requests show hidden properties."""
        if section.audit is None:
            require_own(state)
        self.audit = Audit(state / NAME if section.audit is None else Path(section.audit))
        self.tree = Tree(config)
        self.workbench = Workbench(config, state, authors=section.secrets)
        """Evaluates unsaved texts."""
        self.looks = Looks(state)
        """What the job shows: samples, names seen."""
        self.sent: dict[str, float] = {}
        """When each person last had a test sent."""
        self.announce: Callable[[str], None] = lambda link: None
        """Shows a log-in link on the terminal."""
        self.port = 0
        """The port on which it actually listens."""
        self.silent: set[int] = set()
        """Connections that have sent no request yet, by the `id` of their protocol."""
        self.known: set[int] = set()
        """Connections on which a logged-in user has sent a request; may include closed ones."""
        self.sampler = Sampler()
        """The last hour."""
        self.shown = ShownSelections()
        """Selections of dead letters and pending requests, as people saw them."""
        self.works = Works(state)
        """Bulk changes in progress."""
        self.turns = Turns()
        """Schedules what people try."""
        self._job: tuple[float, list[Value]] = (0.0, [])

    def samples(self, file: str | None = None, event: str | None = None) -> list[Sample]:
        """Return the samples for a webhook: the events of its own tests, then the job's recent records.

        file: of the webhook; None: only the job's records.
        """
        own = [] if file is None else case_samples(self.config, file)
        return [*(one for one in own if event is None or event in one.events), *self.looks.samples(event)]

    def sample(self, name: str, file: str | None = None) -> Sample:
        """Return one of these. Raises UsageError where it is gone."""
        found = next((one for one in self.samples(file) if one.id == name), None)
        if found is None:
            raise UsageError(f"the sample {name} is no longer available: choose another one")
        return found

    async def job(self) -> list[Value]:
        """Return what each process of the running job reports (route `status`); [] where none runs."""
        at, said = self._job
        if time.monotonic() - at > JOB_SECS:
            try:
                async with asyncio.timeout(JOB_SECS):
                    said = await asyncio.to_thread(ask, self.state, "status")
            except HooklineError:
                said = []
            except TimeoutError:
                pass  # it is busy: use its previous answer
            self._job = (time.monotonic(), said)
        return said


@dataclass(slots=True)
class RequestContext:
    """One request: what it asks for, and who sent it."""

    request: web.Request
    console: Console
    viewer: Viewer
    session: Session | None
    nonce: str
    address: str = ""
    """The client's address."""
    acts: list[Act] = field(default_factory=list)
    looked: bool = False
    typed: MultiDict[str] | None = None
    """The fields of its form, once they are read."""

    def masked(self, value: Value) -> Value:
        """Return a payload as viewers with the right to payloads may see it: without the properties in
        `console.mask` and, except for editors, without secrets written out in files. Pass related parts
        (event, user, request) together: copies made by a template are found by value.
        """
        webhook = value.get("webhook") if isinstance(value, dict) else None
        also = self.console.written.shows(webhook) if isinstance(webhook, str) else frozenset()
        return self.unwritten(self.console.mask.applied(value, also))

    def unwritten(self, value: Value) -> Value:
        """Return data as the viewer may see it: secrets written out in a file are for editors only."""
        return value if self.may("edit") else self.console.written.hidden(value)

    def yaml_text(self, text: str) -> str:
        """Return the text of a webhook's file as the viewer may see it: anything that looks like a secret is
        hidden from all but editors.
        """
        return text if self.may("edit") else hide_literals(text)

    @property
    def person(self) -> str:
        """Identifies the person: those who log in by a link have no names."""
        viewer = self.viewer
        return f"{viewer.by} {viewer.name}" if viewer.by != "link" else f"link {id(self.session)}"

    def may(self, right: Right) -> bool:
        """Return whether the viewer has this right; a whole page's right is in the route table."""
        return right in self.viewer.rights

    @property
    def is_welcome(self) -> bool:
        """Whether the viewer is still logged in with the same rights: streams end with that."""
        return is_still(self.request, self.console, self.viewer)

    @property
    def path(self) -> str:
        """The path that was asked for, without the base path."""
        return self.request.path.removeprefix(self.console.section.base_path)

    @property
    def query(self) -> MultiMapping[str]:
        """The query parameters of the URL."""
        return self.request.query

    def number(self, name: str, default: int, *, least: int = 0, most: int = 999_999_999) -> int:
        """Return a number from the query. Raises UsageError."""
        text = self.query.get(name, str(default))
        if not (text.isascii() and text.isdecimal() and least <= int(text[:19]) <= most):
            raise UsageError(f"`{name}={text[:40]}`: expected a number from {least} to {most:,}")
        return int(text)

    @property
    def wants_json(self) -> bool:
        """Whether a page is requested as data: ``?format=json``."""
        return self.request.query.get("format") == "json"

    @property
    def wants_data(self) -> bool:
        """The same, or a request under the API's path."""
        return self.wants_json or self.path.startswith("/api/")

    @property
    def is_partial(self) -> bool:
        """Whether htmx requests a part of a page."""
        return self.request.headers.get("hx-request") == "true"

    def name(self, part: str) -> str:
        """Return a parameter of the path, such as ``id`` of ``/webhooks/{id}``."""
        return self.request.match_info[part]

    async def form(self) -> MultiDict[str]:
        """Return the text fields of a form. Raises UsageError for more of them than any page has, and for
        other content types.
        """
        if self.request.content_type != "application/x-www-form-urlencoded":
            raise UsageError("expected a form: application/x-www-form-urlencoded")
        # Not by aiohttp's `post`, which refuses more than 1,000 fields: a body of 250 keys has them.
        sent = await self.request.read()
        if sent.count(b"&") >= FORM_FIELDS:
            raise UsageError(f"a form may have {FORM_FIELDS:,} fields: write the rest in the YAML")
        try:
            text = sent.decode(self.request.charset or "utf-8").rstrip()
            found = parse_qsl(text, keep_blank_values=True, errors="strict")
        except (LookupError, UnicodeError):
            raise UsageError("the form is not in UTF-8") from None
        self.typed = MultiDict(found)
        return self.typed

    def audit(
        self,
        action: Action,
        target: str = "",
        *,
        before: str = "",
        after: str = "",
        keys: Sequence[str] = (),
        count: int | None = None,
        digest: str = "",
    ) -> None:
        """Add an audit line for what this request does; it is on disk before the answer is sent.

        Call it before anything that may fail: the line records how it ended. target: a file, a webhook's id,
        "" for a selection (then its count and digest). before, after: tags of the file. keys: what changed
        (`keys_changed`). Never a value.
        """
        self.acts.append(Act(action, target, before, after, tuple(keys), count, digest))

    def unchanged(self) -> None:
        """This request changes nothing although others to its route do: a preview, a dry run."""
        self.looked = True

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function of `operate` in a thread and return its result. Raises what it raises, and
        TimeoutError.
        """
        async with asyncio.timeout(RUN_SECS):
            return await asyncio.to_thread(function, *args, **kwargs)

    async def tried(self, page: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Like `run`, for user input that may take long: one at a time per person, and of those waiting for
        the same page only the last. Raises Superseded, too.
        """
        async with asyncio.timeout(RUN_SECS):
            return await self.console.turns.run(self.person, page, partial(function, *args, **kwargs))

    def say(self, words: str, kind: str = "good") -> None:
        """Show this message on the next page: ``good`` or ``bad``."""
        if self.session is not None:
            self.session.said.append((kind, words))

    def go(self, path: str) -> web.Response:
        """Return a redirect to another page, after a form was processed."""
        where = quote(self.url(path), safe=_OF_URLS)  # some of it is user input
        return web.Response(status=HTTPStatus.SEE_OTHER, headers={"location": where})

    def url(self, path: str) -> str:
        """Return one of our paths with the base path."""
        return self.console.section.base_path + path
