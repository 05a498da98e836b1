"""What hostile clients try, and what is mended after it was found: each test fails without its mechanism."""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from pipeline.config.models.installation.console import ConsoleSection
from pipeline.console.context import Console
from pipeline.console.security.throttle import FAILURES
from pipeline.console.serving.service import serve
from pipeline.console.turns import Superseded, Turns
from pipeline.model.errors import UsageError
from tests.kit.programs.run import until
from tests.kit.web.pages import OURS, Caller, served, write_tokens

PROXY = {"from": ["127.0.0.1/32"], "user_header": "x-forwarded-user", "role_header": "x-forwarded-role"}
FORM = "application/x-www-form-urlencoded"


@pytest.fixture(scope="module")
def caller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    with served(tmp_path_factory.mktemp("hostile")) as found:
        yield found


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    with served(tmp_path_factory.mktemp("proxied"), proxy=PROXY) as found:
        yield found


def sent(caller: Caller, head: bytes, body: bytes = b"", of: int = 0) -> socket.socket:
    """Send a request as it stands; the caller reads what comes. of: bytes of a body that follows later."""
    made = socket.create_connection(("127.0.0.1", caller.port), timeout=10)
    if body:
        head += b"\r\ncontent-type: %s\r\ncontent-length: %d" % (FORM.encode(), of or len(body))
    made.sendall(head.replace(b"\n", b"\r\n").replace(b"\r\r", b"\r") + b"\r\n\r\n" + body)
    return made


def answer(connection: socket.socket) -> bytes:
    """Return all that comes until its end, or until the stream goes on."""
    found = b""
    with connection:
        while more := connection.recv(1 << 16):
            found += more
    return found


@contextmanager
def live(caller: Caller, who: str) -> Iterator[socket.socket]:
    """A stream that has begun."""
    head = f"GET /live/rows HTTP/1.1\nhost: localhost\naccept: text/event-stream\n{who}"
    with sent(caller, head.encode()) as stream:
        until(lambda: b"data: " in stream.recv(1 << 16))
        yield stream


def goes_on(stream: socket.socket) -> bool:
    stream.setblocking(False)
    try:
        while stream.recv(1 << 16):
            pass
    except BlockingIOError:
        return True
    return False


def is_over(stream: socket.socket) -> bool:
    return stream.recv(1 << 16).endswith(b"0\r\n\r\n")


def test_a_stream_ends_with_the_token_that_it_was_begun_with(caller: Caller, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("pipeline.console.security.tokens.LOOK_SECS", 0.0)
    tokens = Path(str(caller.console.section.tokens))
    cookie = caller.log_in("viewer").cookie
    with live(caller, "authorization: Bearer viewer") as bearer, live(caller, f"cookie: {cookie}") as session:
        tokens.write_text("# nobody\n")
        try:
            until(lambda: is_over(bearer))
            until(lambda: is_over(session))
        finally:
            write_tokens(tokens)
            caller.console.tokens.find("")


def test_one_person_does_not_take_all_places_of_those_who_look_on(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("pipeline.console.serving.app.STREAMS_EACH", 2)
    with live(caller, "authorization: Bearer viewer"), live(caller, "authorization: Bearer viewer"):
        said = caller.ask("GET", "/api/v1/tap", token="viewer")
        assert (said.status, said.json["error"]) == (503, "2 of your pages are watching already: close one")
        with live(caller, "authorization: Bearer editor"):
            pass
        monkeypatch.setattr("pipeline.console.serving.app.STREAMS", 2)
        said = caller.ask("GET", "/api/v1/tap", token="editor")
        assert (said.status, said.json["error"]) == (503, "2 pages are watching already: close one")
    until(lambda: caller.ask("GET", "/live/rows", token="viewer").status == 200)


def test_a_stream_of_whom_a_proxy_names_goes_on(proxied: Caller):
    with live(proxied, "x-forwarded-user: ada") as stream:
        stream.settimeout(0.5)
        found = b""
        try:
            while more := stream.recv(1 << 16):
                found += more
        except TimeoutError:
            pass  # it is silent, and open
        else:
            pytest.fail("the console has ended it")
        assert not found.endswith(b"0\r\n\r\n")


def test_a_header_of_the_proxy_that_comes_twice_is_nobodys(proxied: Caller):
    for name in (b"x-forwarded-user", b"x-forwarded-role"):
        head = b"GET / HTTP/1.1\nhost: localhost\nconnection: close\nx-forwarded-user: ada\n"
        twice = answer(sent(proxied, head + b"%b: editor\n%b: viewer" % (name, name)))
        assert twice.startswith(b"HTTP/1.1 403 ")
        assert b"came twice: let the proxy replace it" in twice


def test_a_name_that_is_no_utf8_is_shown_and_what_it_does_is_in_the_audit(proxied: Caller):
    who = b"host: localhost\nconnection: close\nx-forwarded-user: J\xfcrgen\nx-forwarded-role: editor"
    page = answer(sent(proxied, b"GET / HTTP/1.1\n" + who))
    assert "Jürgen, editor".encode() in page
    order = b"POST /webhooks/crm/orders HTTP/1.1\nsec-fetch-site: same-origin\n" + who
    assert answer(sent(proxied, order, b"do=pause")).startswith(b"HTTP/1.1 303 ")
    line = proxied.audit[-1]
    assert (line["who"], line["action"], line["result"]) == ("Jürgen", "pause", "done")


def test_bytes_that_are_no_text_keep_no_line_out_of_the_audit(proxied: Caller):
    head = b"GET / HTTP/1.1\nconnection: close\nhost: \xff.example\nx-forwarded-for: \xff"
    assert answer(sent(proxied, head)).startswith(b"HTTP/1.1 421 ")
    line = proxied.audit[-1]
    assert (line["action"], line["status"], line["from"]) == ("refused", 421, "\\udcff")


def test_of_guesses_that_were_begun_at_once_ten_are_compared(tmp_path: Path):
    with served(tmp_path) as caller:
        head = b"POST /login HTTP/1.1\nhost: localhost\nsec-fetch-site: same-origin\nconnection: close"
        begun = [sent(caller, head, b"token=guess", of=13) for _ in range(3 * FAILURES)]
        until(lambda: len(caller.console.silent) == 0)  # all of them have been let as far as their form
        for one in begun:
            one.sendall(b"00")
        counts = Counter(answer(one)[9:12] for one in begun)
        assert counts == {b"403": FAILURES, b"429": 2 * FAILURES}


def test_what_was_typed_into_a_way_back_makes_no_header(caller: Caller):
    cookie = caller.log_in("operator").cookie
    for back in ("a\r\nX-Evil: 1", "\x00", "\x7f", "text=é"):
        said = caller.ask(
            "POST", "/webhooks/orders", OURS, {"do": "pause", "id": "crm", "back": back}, cookie=cookie
        )
        assert (said.status, "x-evil" in said.headers) == (303, False)
        assert said.headers["location"].isascii()


@pytest.mark.parametrize(
    ("charset", "body"), [("nope", b"do=pause"), ("utf-8", b"do=\xff"), ("ascii", b"do=\xc3")]
)
def test_a_form_that_is_no_text_is_said_to_be_none(caller: Caller, charset: str, body: bytes):
    given = OURS | {"content-type": f"{FORM}; charset={charset}"}
    said = caller.ask("POST", "/webhooks/crm/orders?format=json", given, body, token="operator")
    assert (said.status, said.json["error"]) == (400, "the form is not in UTF-8")


def test_what_nobody_expects_is_the_strangers_fault_and_fills_no_log(
    caller: Caller, caplog: pytest.LogCaptureFixture
):
    form = {"content-type": "application/x-www-form-urlencoded", **OURS}
    assert caller.ask("POST", "/login", {**form, "content-encoding": "gzip"}, b"abc").status == 415
    assert caller.ask("POST", "/login", {**form, "expect": "an answer"}, b"token=x").status == 417
    assert not caplog.records


def test_strangers_who_take_all_places_keep_nobody_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("pipeline.console.serving.service.CONNECTIONS", 20)
    with (
        served(tmp_path) as caller,
        live(caller, "authorization: Bearer editor") as stream,
        ExitStack() as held,
    ):
        for _ in range(60):
            stranger = held.enter_context(sent(caller, b"GET /login HTTP/1.1\nhost: localhost"))
            assert stranger.recv(4) == b"HTTP"
        assert caller.ask("GET", "/", token="editor").status == 200
        assert goes_on(stream)


def test_an_address_that_is_taken_is_said_with_what_to_do(caller: Caller, tmp_path: Path):
    taken = Console(caller.config, tmp_path, ConsoleSection(listen=f"127.0.0.1:{caller.port}"))
    with pytest.raises(UsageError, match=r"Address already in use \(.* `--listen`\)"):
        asyncio.run(serve(taken, lambda link: None))


def test_a_number_without_bounds_is_a_wrong_number(caller: Caller):
    for path in ("/api/v1/tap?rate=", "/api/v1/tap?count=", "/live?rate=", "/live/rows?rate="):
        for number in ("9" * 20, "9" * 5_000):
            assert caller.ask("GET", path + number, token="editor").status in (200, 400), path


def test_what_was_given_up_waiting_for_is_unknown_and_not_refused(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
):
    file = caller.config / "webhooks/crm.yaml"
    before = file.read_text()
    tag = caller.ask("GET", "/api/v1/webhooks/crm", token="editor").headers["etag"]
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        with monkeypatch.context() as patch:
            patch.setattr("pipeline.console.context.RUN_SECS", 0.5)
            said = caller.ask(
                "PUT",
                "/api/v1/webhooks/crm",
                {"if-match": tag},
                f"# changed\n{before}".encode(),
                token="editor",
            )
        assert (said.status, said.json["error"]) == (503, "this takes too long: look whether it was done")
        line = caller.audit[-1]
        assert (line["action"], line["result"], line["why"]) == (
            "save",
            "unknown",
            "cut off: it may have been done",
        )
    finally:
        os.close(folder)
    until(lambda: file.read_text() != before)  # for it may have been


def test_while_a_long_text_is_read_others_are_answered(caller: Caller, monkeypatch: pytest.MonkeyPatch):
    begun, answered = threading.Event(), threading.Event()
    waited: list[bool] = []

    def slowly(before: str, after: str) -> tuple[str, ...]:
        begun.set()
        waited.append(answered.wait(10))
        return ()

    monkeypatch.setattr("pipeline.console.writes.keys_changed", slowly)
    found = caller.ask("GET", "/api/v1/webhooks/crm", token="editor")
    given = ("PUT", "/api/v1/webhooks/crm", {"if-match": found.headers["etag"]}, found.json["text"].encode())
    saving = threading.Thread(target=lambda: caller.ask(*given, token="editor"), daemon=True)
    saving.start()
    assert begun.wait(10)
    assert caller.ask("GET", "/static/console.css").status == 200
    answered.set()
    saving.join(20)
    assert waited == [True]


def test_a_page_that_is_opened_in_several_tabs_at_once_is_shown_in_each(caller: Caller):
    cookie, found = caller.log_in("editor").cookie, list[tuple[bool, int]]()

    def opened(headers: dict[str, str]) -> None:
        said = caller.ask("GET", "/new-webhook", headers, cookie=cookie)
        found.append((not headers, said.status))

    caller.console.workbench.check_saved()  # its process takes a while to be there
    tabs = [threading.Thread(target=opened, args=({},)) for _ in range(2)]
    typed = [threading.Thread(target=opened, args=({"hx-request": "true"},)) for _ in range(2)]
    for one in (*tabs, *typed):
        one.start()
    for one in (*tabs, *typed):
        one.join(30)
    assert [status for is_page, status in found if is_page] == [200] * len(tabs)
    assert {status for is_page, status in found if not is_page} <= {200, 204}


def test_what_a_person_tries_takes_turns_and_of_a_page_the_last_one_counts():
    begun: list[str] = []
    ends = threading.Event()

    def slow(name: str) -> str:
        begun.append(name)
        assert name == "other's" or ends.wait(10)
        return name

    async def all_of_it() -> None:
        turns = Turns()

        def tries(person: str, page: str, name: str) -> asyncio.Task[str]:
            return asyncio.ensure_future(turns.run(person, page, lambda: slow(name)))

        first = tries("eve", "a", "first")
        rest = [tries("eve", f"page {number}", f"{number}") for number in range(40)]
        old, new = tries("eve", "b", "old"), tries("eve", "b", "new")
        assert await tries("ada", "a", "other's") == "other's"  # forty of another one's are in nobody's way
        assert begun == ["first", "other's"]
        first.cancel()  # who gives up waiting does not let a second one begin beside the first
        with pytest.raises(asyncio.CancelledError):
            await first
        await asyncio.sleep(0)
        assert begun == ["first", "other's"]
        ends.set()
        assert await asyncio.gather(*rest) == [f"{number}" for number in range(40)]
        with pytest.raises(Superseded):
            await old
        assert await new == "new"
        until(lambda: not turns._people)

    asyncio.run(all_of_it())
