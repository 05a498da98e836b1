"""The page Live and `GET /api/v1/tap`: rows as they happen, and a count of those that are not shown."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pipeline.cli.watch.top import afar, order
from pipeline.cli.watch.top_view import Act, View
from tests.kit.programs.run import HOOKLINE, ended, started, until
from tests.kit.web import console as kit
from tests.kit.web.console import Desk, Tab

if TYPE_CHECKING:
    from playwright.sync_api import Browser

WEBHOOKS = {
    "crm": 'trigger: {events: [Purchase]}\nrequest: {url: "RECEIVER/crm"}\n',
    "picky": "trigger: {events: [Purchase], where: {user.properties.plan: pro}}\n"
    'request: {url: "RECEIVER/picky"}\n',
    "sick": 'trigger: {events: [View]}\nrequest: {url: "RECEIVER/sick"}\n'
    "delivery: {retry: {max_attempts: 2, min_delay: 50ms}}\n",
}
FLAT_SECS = 120
EVIL = "<img src=x onerror=alert(1)>\x1b[31m'\"&"


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("live")
    with kit.desk(folder, config=None, webhooks=WEBHOOKS) as desk:
        desk.receiver.answer({"/sick": [{"status": 503, "body": EVIL}] * 1000})
        yield desk


def listening(tab: Tab, path: str) -> None:
    """Open the page and wait until its stream has begun."""
    tab.open(path)
    tab.page.locator("#live-told p").first.wait_for()


def test_rows_come_within_a_second_and_open(desk: Desk, tab: Tab):
    listening(tab, "/live")
    page = tab.page
    begun = time.monotonic()
    desk.bench.append({"name": "View", "user_id": EVIL, "id": "v1", "properties": {"note": EVIL}})
    row = page.locator("#live-rows li", has_text="matched")
    row.wait_for()
    assert time.monotonic() - begun < 1
    page.locator("#live-rows li", has_text="503, dead letter (max-attempts), attempt 2").first.wait_for()
    page.locator("#live-rows li", has_text="503, again ").first.wait_for()
    row.locator("summary").click()
    event = row.get_by_label("Event")
    event.wait_for()  # the row opens after the click
    shown = json.loads(event.inner_text())
    assert shown["properties"]["note"] == EVIL
    assert json.loads(row.get_by_label("Request").inner_text())["url"] == desk.receiver.url("/sick")
    assert row.locator("dd", has_text="onerror").inner_text().startswith("<img")
    tab.accessible()


def test_pause_holds_rows_up_and_counts_them(desk: Desk, tab: Tab):
    listening(tab, "/live?stage=read&event=Pause*")
    page = tab.page
    desk.bench.append({"name": "Pause 1"})
    rows = page.locator("#live-rows li", has_text="Pause")
    rows.first.wait_for()
    page.get_by_role("button", name="Pause").click()
    desk.bench.append({"name": "Pause 2"}, {"name": "Pause 3"})
    button = page.get_by_role("button", name="Go on (2 passed by)")
    button.wait_for()
    assert rows.count() == 1
    button.click()
    desk.bench.append({"name": "Pause 4"})
    page.locator("#live-rows li", has_text="Pause 4").wait_for()
    assert rows.count() == 2
    page.get_by_role("button", name="Clear").click()
    assert page.get_by_text("Nothing yet").is_visible()


def test_the_form_is_the_flags_and_says_the_command(desk: Desk, tab: Tab):
    page = tab.open("/live")
    for stage in ("sent", "dead", "matched"):
        page.get_by_label(stage, exact=True).uncheck()
    page.get_by_label("unmatched", exact=True).check()
    page.get_by_label("Webhook").fill("pick*")
    page.get_by_text("More filters").click()
    page.get_by_label("Condition", exact=True).fill("event.properties.amount: {gte: 100}")
    page.get_by_role("button", name="Show").click()
    command = page.locator("#live-command").inner_text()
    assert command == "hookline tap --webhook 'pick*' --where 'event.properties.amount: {gte: 100}' --why"
    page.locator("#live-told p").first.wait_for()
    desk.bench.append({"name": "Purchase", "user_id": "p1", "properties": {"amount": 100}})
    row = page.locator("#live-rows li", has_text='user.properties.plan: {"eq":"pro"} is missing')
    row.locator("summary").click()
    told = " ".join(row.locator(".clauses").inner_text().split())
    why = '✗ user.properties.plan: {"eq":"pro"} user.properties.plan is missing'
    assert told == f"{why} (nothing had said it of this user by then)"


def test_a_filter_that_there_is_not_is_told_on_the_page(tab: Tab):
    tab.open("/live?stage=mached")
    tab.page.get_by_text("there is no stage `mached`: did you mean `matched`?").wait_for()
    tab.open("/live?stages=sent", status=400)


def test_that_no_job_is_running_stays_on_the_page(browser: Browser, tmp_path: Path):
    with kit.desk(tmp_path, config=None, webhooks=WEBHOOKS, job=False) as desk:
        tab = Tab(desk, desk.log_in(browser))
        page = tab.open("/live")
        told = page.locator("#live-told", has_text="0 new")
        told.wait_for()
        assert told.get_by_text("No job is running: rows appear once one is started.").is_visible()
        tab.close()


def test_without_scripts_the_last_attempts_are_there(desk: Desk, browser: Browser):
    desk.bench.append({"name": "View", "user_id": "ns1"})
    until(lambda: [one for one in desk.bench.listed("dlq") if one["user"] == "ns1"] or None)
    with kit.ConsoleProcess(desk.bench, log="plain") as console:
        other = Desk(desk.bench, desk.receiver, console, desk.job)
        context = other.log_in(browser, java_script_enabled=False)
        tab = Tab(other, context)
        page = tab.open("/live?webhook=sick&status=5xx")
        assert page.locator("#live-rows li", has_text="ns1").count() == 2
        assert "reload for newer ones" in page.content()
        assert not page.get_by_role("button", name="Pause").is_visible()
        # The browser's end closes it: Chromium now and then never says that a page without scripts is closed.
        tab.check()


class Api:
    """The API, asked as a program asks, with the cookie of a log-in."""

    def __init__(self, console: kit.ConsoleProcess) -> None:
        class Stay(urllib.request.HTTPRedirectHandler):
            def redirect_request(self, *args: Any) -> None:
                return None

        form = urllib.request.Request(f"{console.base}/login", data=f"token={console.token}".encode())
        try:
            urllib.request.build_opener(Stay).open(form)
        except urllib.error.HTTPError as answer:
            self.cookie = answer.headers["set-cookie"].partition(";")[0]
        self.base = console.base

    def get(self, path: str, accept: str = "application/x-ndjson") -> Any:
        headers = {"cookie": self.cookie, "accept": accept}
        return urllib.request.urlopen(urllib.request.Request(self.base + path, headers=headers), timeout=30)


@pytest.fixture(scope="module")
def api(desk: Desk) -> Iterator[Api]:
    with kit.ConsoleProcess(desk.bench, log="api") as console:
        yield Api(console)


def test_the_api_gives_lines_or_events(desk: Desk, api: Api):
    found: list[list[str]] = []

    def read(accept: str, path: str) -> None:
        with api.get(path, accept) as answer:
            assert answer.headers["x-accel-buffering"] == "no"
            assert answer.headers["cache-control"] == "no-store, no-transform"
            found.append([answer.headers["content-type"], *answer.read().decode().splitlines()])

    path = "/api/v1/tap?stage=read&event=Api*&count=2"
    readers = [
        threading.Thread(target=read, args=(accept, path))
        for accept in ("application/x-ndjson", "text/event-stream")
    ]
    for reader in readers:
        reader.start()
    names = iter(range(1000))

    def both() -> bool:
        desk.bench.append({"name": f"Api {next(names)}"})
        return not any(reader.is_alive() for reader in readers)

    until(both)
    lines, events = sorted(found)
    assert lines[0].startswith("application/x-ndjson")
    told = [json.loads(line) for line in lines[1:]]
    assert "listening to read" in told[0]["tap"]["notice"]
    assert [one["event"][:3] for one in told if "tap" not in one] == ["Api", "Api"]
    assert events[0].startswith("text/event-stream")
    assert events[1] == "event: tap"
    assert len([line for line in events if line.startswith('data: {"stage":"read"')]) == 2


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ("stage=mached", 400, "did you mean `matched`"),
        ("webhook=crn", 400, "there is no webhook `crn`; did you mean `crm`?"),
        ("where=evnt.x:+1", 400, "`evnt` is not known here"),
        ("stages=sent", 400, "did you mean `stage`?"),
        ("count=x", 400, "`count=x`: expected a number"),
        ("for=x", 400, "`for`:"),
    ],
)
def test_the_api_refuses_before_it_begins(api: Api, query: str, status: int, said: str):
    with pytest.raises(urllib.error.HTTPError) as refused:
        api.get(f"/api/v1/tap?{query}")
    assert (refused.value.code, said in json.load(refused.value)["error"]) == (status, True)


def test_what_is_not_shown_is_counted_at_2000_events_a_second(desk: Desk, api: Api):
    written = len(desk.bench.stream.read_bytes().splitlines())
    until(lambda: desk.bench.status()["records"]["read"] == written)  # the last test's events are counted
    before = desk.bench.counts("crm")["matched"]
    counts: dict[str, int] = {}
    rows = []

    def read() -> None:
        with api.get("/api/v1/tap?stage=matched&webhook=crm&rate=50&for=8s") as answer:
            for text in answer:
                line = json.loads(text) if text.strip() else {"tap": {}}
                if "tap" not in line:
                    rows.append(line)
                counts.update(line.get("tap", {}))

    reader = threading.Thread(target=read)
    reader.start()
    until(lambda: "notice" in counts)
    for _ in range(20):
        desk.bench.append(*({"name": "Purchase", "user_id": f"u{n}"} for n in range(200)))
        threading.Event().wait(0.1)
    reader.join(30)
    matched = desk.bench.counts("crm")["matched"] - before
    assert matched == 4000
    assert counts["shown"] == len(rows)
    assert abs(counts["shown"] + counts["not_shown"] + counts["not_looked_at"] - matched) <= matched / 100
    assert len(rows) <= 50 * 9


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_memory_of_tab_and_console_is_flat_while_2000_events_a_second_pass(desk: Desk, tab: Tab):
    listening(tab, "/live?stage=matched&stage=read")
    page, measured = tab.page, []
    tools = page.context.new_cdp_session(page)
    console = Path(f"/proc/{desk.console.process.pid}/statm")
    begun = time.monotonic()
    for step in range(1, 1 + FLAT_SECS * 5):
        desk.bench.append(*({"name": "Purchase", "user_id": f"u{n}"} for n in range(400)))
        if step % 100 == 0:
            tools.send("HeapProfiler.collectGarbage")
            heap = page.evaluate("performance.memory.usedJSHeapSize") / 1e6
            measured.append((heap, int(console.read_text().split()[1]) * 4096 / 1e6))
            assert page.locator("#live-rows li").count() <= 200
        threading.Event().wait(max(0.0, begun + step / 5 - time.monotonic()))
    print([f"{heap:.1f} MB, {rss:.1f} MB" for heap, rss in measured])
    early, late = measured[1], measured[-1]
    assert late[0] < early[0] * 1.3 + 2
    assert late[1] < early[1] * 1.1 + 2


TOKENS = {"editor": "an-editors-token", "viewer": "a-viewers-token"}


def test_a_tap_behind_a_console_wants_a_token_and_shows_what_its_role_may_see(desk: Desk, tmp_path: Path):
    lines = [f"{role} {role}-1 {sha256(token.encode()).hexdigest()}\n" for role, token in TOKENS.items()]
    (tmp_path / "tokens").write_text("".join(lines))
    for name, text in [*TOKENS.items(), ("stranger", "nobodys"), ("broken", "two words")]:
        (tmp_path / name).write_text(text)

    def tap(url: str, token: str | None, *words: object, code: int = 0) -> str:
        file = [] if token is None else ["--token-file", tmp_path / token]
        with started(HOOKLINE, "tap", "--url", url, *file, *words, env=desk.bench.environ) as process:
            out, err = ended(process, code)
        return out or err

    settings = f"{{{desk.bench.settings.strip('{}')}, console: {{mask: [user.properties.plan]}}}}"
    (desk.config / "pipeline.yaml").write_text(settings)
    desk.bench.update("m1", plan="free-plan")
    with kit.ConsoleProcess(desk.bench, "--token-file", tmp_path / "tokens", log="tokens") as console:
        url = console.base
        with (
            started(
                HOOKLINE, "tap", "--url", url, "--token-file", tmp_path / "viewer", "--why", "--count", 1,
                "--json", env=desk.bench.environ,
            ) as viewer,
            started(
                HOOKLINE, "tap", "--url", url, "--token-file", tmp_path / "editor", "--why", "--count", 1,
                "--json", env=desk.bench.environ,
            ) as editor,
        ):  # fmt: skip
            for process in (viewer, editor):
                assert process.stderr is not None
                assert "listening to unmatched of 3 webhooks" in process.stderr.readline()
            desk.bench.append({"name": "Purchase", "user_id": "m1", "properties": {"amount": 7}})
            seen, whole = (json.loads(ended(process)[0]) for process in (viewer, editor))
        assert (seen["user"], seen["why"][0]["value"], "record" in seen) == ("•••", "•••", False)
        assert (whole["user"], whole["why"][0]["value"], whole["known"]) == ("m1", "•••", {"plan": "•••"})
        flags = ["--url", url, "--token-file", tmp_path / "viewer", "--once", "--json"]

        def alike() -> bool:
            shown, here = desk.bench.hookline("top", *flags), desk.bench.hookline("top", "--once", "--json")
            assert shown["job"]["state"] == url
            rows = [[(row["id"], row["matched"]) for row in top["webhooks"]] for top in (shown, here)]
            assert not any(row["error"] for row in shown["webhooks"]), "a viewer sees no answers"
            return rows[0] == rows[1]

        until(alike)  # counts move between two looks
        view = View()
        for role, said in (("viewer", "your role (viewer) may not do this"), ("editor", "crm: paused now")):
            order(afar(url, tmp_path / role, ()), Act("pause", "crm"), view)
            assert said in view.message
        assert desk.bench.status()["halted"] == {"crm": "paused"}
        order(afar(url, tmp_path / "editor", ()), Act("resume", "crm"), view)
        assert "your role may not ask" in tap(url, "viewer", "--user", "m1", code=2)
        assert "wants a token that it knows: --token-file" in tap(url, None, code=1)
        assert "wants a token that it knows: --token-file" in tap(url, "stranger", code=1)
        assert "has to hold one token" in tap(url, "broken", code=2)
        assert "did you mean `matched`" in tap(url, "editor", "--stage", "mached", code=2)
    assert "no console answers at http://127.0.0.1:1" in tap("http://127.0.0.1:1", None, code=1)
    assert "is no address of a console" in tap("ftp://x", None, code=2)
    assert "would pass in clear to 192.0.2.1: write https://" in tap("http://192.0.2.1", "viewer", code=2)
