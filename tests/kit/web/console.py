"""A console over a real job and receiver, and a real browser in front of it.

``desk(folder)`` starts what a person has on a desk: a copy of a config, `hookline run --follow`, a receiver,
`hookline console` on a free port. ``browser()`` starts Debian's Chromium; a `Tab` of it fails the test for
any console error, page error, breach of the page's policy (CSP) or request to elsewhere.

Tests with a browser start one desk and one browser per module (fixtures of tests/console/conftest.py) and
need no event loop of their own in this thread: the browser's driver has one.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pipeline.receiver.server import Receiver
from tests.kit.programs.forge import forge
from tests.kit.programs.jobs import Job, ready
from tests.kit.programs.run import Bench, until
from tests.kit.streams.samples import ROOT
from tests.kit.web.bundle import absent, built, node_modules

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request

FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run", "--disable-quic", "--mute-audio",
    # It takes the place of the driver's own list: of that, what matters on this machine. The popups of the
    # address bar are pages of their own, which every window would begin with for a second.
    "--disable-features=AvoidUnnecessaryBeforeUnloadCheckSync,DestroyProfileOnBrowserClose,HttpsUpgrades,"
    "HttpsFirstBalancedModeAutoEnable,MediaRouter,PaintHolding,ThirdPartyStoragePartitioning,"
    "OptimizationHints,PreconnectToSearch,WebUIOmniboxPopup,WebUIOmniboxAimPopup,WebUIOmniboxFullPopup",
]  # fmt: skip
ANSWERED = ("409", "412", "422", "428")
"""Statuses that pages answer with words: Chromium calls each an error in its console."""
SIZES = {"phone": (320, 700), "tablet": (768, 900), "desk": (1280, 800)}
WAIT_MS = 10_000


class ConsoleProcess:
    """A `hookline console` in a process of its own. A context manager."""

    def __init__(self, bench: Bench, *flags: object, log: str = "console", port: int = 0) -> None:
        self.out, self.err = bench.folder / f"{log}.out", bench.folder / f"{log}.err"
        words = [
            "console",
            "-c",
            bench.config,
            "--state",
            bench.state,
            "--listen",
            f"127.0.0.1:{port}",
            *flags,
        ]
        self.process = forge().start([*map(str, words)], bench.environ, self.out, self.err)

        def listens() -> str:
            assert self.process.poll() is None, self.said
            lines = self.out.read_text().splitlines() if self.out.exists() else []
            return next((line for line in lines if "/login#token=" in line), "")

        self.link = until(listens).strip()
        """Logs a browser in, once."""
        self.origin = "{0.scheme}://{0.netloc}".format(urlsplit(self.link))
        self.base = self.link.partition("/login#")[0]
        """What stands before the path of every page."""

    def __enter__(self) -> ConsoleProcess:
        return self

    def __exit__(self, *exc: object) -> None:
        self.process.kill()
        self.process.wait()

    @property
    def said(self) -> str:
        """Everything it wrote to stderr."""
        return self.err.read_text(errors="replace")

    @property
    def token(self) -> str:
        """What its link logs in with."""
        return self.link.partition("token=")[2]

    def stop(self, code: int = 0) -> None:
        """Ask it to end, and check how it ended."""
        self.process.send_signal(signal.SIGTERM)
        given = self.process.wait(20)
        assert given == code, f"exit code {given}, not {code}:\n{self.said[-4000:]}"


@dataclass(slots=True)
class Desk:
    """A config, what runs on it, and the console over it."""

    bench: Bench
    receiver: Receiver
    console: ConsoleProcess
    job: Job | None
    _contexts: list[BrowserContext] = field(default_factory=list)

    @property
    def config(self) -> Path:
        return self.bench.config

    @property
    def state(self) -> Path:
        return self.bench.state

    def url(self, path: str = "/") -> str:
        """Return the address of a page."""
        return self.console.base + path

    def log_in(self, browser: Browser, **more: Any) -> BrowserContext:
        """Return a context of the browser whose pages are logged in; more: as `Browser.new_context` takes."""
        context = browser.new_context(reduced_motion="reduce", **more)
        context.set_default_timeout(WAIT_MS)
        page = context.new_page()
        if more.get("java_script_enabled", True):
            page.goto(self.console.link)
            page.wait_for_url(self.url("/"))
            page.close()
        else:  # not closed: Chromium now and then never says that a page without scripts is
            page.goto(self.url("/login"))
            page.fill("input[name=token]", self.console.token)
            page.click("button")
        return context


@contextlib.contextmanager
def desk(
    folder: Path,
    *flags: object,
    config: Path | None = ROOT / "config",
    webhooks: Mapping[str, str] | None = None,
    job: bool = True,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Desk]:
    """Start a job, a receiver and a console; they are gone at the end.

    config: copied, and read with RECEIVER set to the receiver, following an empty stream; None for none, with
    webhooks: texts by id, in which RECEIVER is the receiver's address. flags: of the console.
    """
    built()
    with Receiver() as receiver, contextlib.ExitStack() as stack:
        address = receiver.url("").rstrip("/")
        bench = Bench(folder, environment={"RECEIVER": address, **(environment or {})})
        if config is not None:
            shutil.copytree(config, bench.config)
        for name, text in (webhooks or {}).items():
            path = bench.config / "webhooks" / f"{name}.yaml"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"id: {name}\n{text.replace('RECEIVER', address)}")
        if config is None:
            bench.config.mkdir(exist_ok=True)
            (bench.config / "pipeline.yaml").write_text(bench.settings)
        bench.stream.touch()
        running = ready(bench, stack.enter_context(Job(bench))) if job else None
        console = stack.enter_context(ConsoleProcess(bench, *flags))
        yield Desk(bench, receiver, console, running)


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    """Start Chromium, headless; the test is skipped where there is none."""
    from playwright.sync_api import sync_playwright

    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        absent("there is no `chromium` on the path (Debian: chromium)")
    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=found, args=FLAGS)
        try:
            yield started
        finally:
            started.close()


class Tab:
    """A page that is watched: `check()` fails for whatever went wrong in it."""

    def __init__(self, desk: Desk, context: BrowserContext) -> None:
        self.desk = desk
        self.page: Page = context.new_page()
        self.wrong: list[str] = []
        self.allowed: list[str] = []
        """Parts of messages that the test is about."""
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.wrong.append(f"page error: {error}"))
        self.page.on("request", self._asked)

    def open(self, path: str = "/", status: int = 200) -> Page:
        """Open one of the console's pages; another status than 200 is no fault where it is expected."""
        if status != 200:
            self.allowed.append(f"status of {status} ")
        answer = self.page.goto(self.desk.url(path))
        assert answer is not None
        assert answer.status == status, f"{path}: {answer.status}\n{self.page.inner_text('main')[:3000]}"
        return self.page

    def _said(self, message: ConsoleMessage) -> None:
        if message.type not in ("error", "warning"):
            return
        if "Failed to load resource" in message.text and any(f" {one} " in message.text for one in ANSWERED):
            return
        self.wrong.append(f"{message.type}: {message.text}")

    def _asked(self, request: Request) -> None:
        if not request.url.startswith((self.desk.console.origin, "data:", "blob:", "about:")):
            self.wrong.append(f"asks for {request.url}")

    def check(self) -> None:
        """Fail where anything went wrong that the test did not allow."""
        wrong = [one for one in self.wrong if not any(part in one for part in self.allowed)]
        self.wrong.clear()
        assert wrong == [], "\n".join(wrong)

    def accessible(self) -> None:
        """Fail where axe finds anything, where colours are too faint in the dark, or the page is too wide."""
        self.page.emulate_media(color_scheme="light")
        found = axe(self.page)
        self.page.emulate_media(color_scheme="dark")
        found += axe(self.page, ["color-contrast"])
        for width, height in SIZES.values():
            self.page.set_viewport_size({"width": width, "height": height})
            if not fits(self.page):
                found.append(f"{self.page.url} is wider than {width} px")
        assert found == [], "\n".join(found)

    def close(self) -> None:
        """Close the page, then fail for what went wrong."""
        self.page.close()
        self.check()


def axe(page: Page, rules: Sequence[str] = ()) -> list[str]:
    """Return what axe finds, one line for each element; rules: only these."""
    if not page.evaluate("'axe' in window"):
        page.evaluate((node_modules() / "axe-core" / "axe.min.js").read_text())
    only = {"runOnly": list(rules)} if rules else {}
    options = {"resultTypes": ["violations"], **only}
    found = page.evaluate("options => axe.run(document, options).then(told => told.violations)", options)
    return [
        f"{page.url}: {one['id']} ({one['impact']}): {one['help']}: {node['html'][:200]}"
        for one in found
        for node in one["nodes"]
    ]


def fits(page: Page) -> bool:
    """Return whether nothing has to be scrolled sideways."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


def yaml_of(page: Page, name: str = "yaml") -> str:
    """Return the text of the YAML pane, whether an editor has it or not."""
    return str(page.locator(f"textarea[name={name}]").input_value())
