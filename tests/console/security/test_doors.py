"""Who comes into the console: links, sessions, tokens, proxies; and who is sent away."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from pipeline.config.models.installation.console import ConsoleSection
from pipeline.console.security import throttle as throttle_module
from pipeline.console.security.identity import client_of
from pipeline.console.security.sessions import LASTS_SECS, LINK_SECS, MOST, Sessions
from pipeline.console.security.throttle import FAILURES, Throttle
from pipeline.console.security.tokens import Tokens, parse_tokens
from pipeline.console.serving.service import check_door, link
from pipeline.model.errors import UsageError
from tests.kit.machine.clock import HandClock
from tests.kit.web.pages import OURS, Caller, served


@pytest.fixture(scope="module")
def caller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    with served(tmp_path_factory.mktemp("console"), hosts=["hookline.internal"]) as found:
        yield found


@pytest.fixture(autouse=True)
def forgotten(caller: Caller) -> None:
    """No failure of one test keeps another out."""
    caller.console.throttle._failed.clear()


def test_a_link_is_good_once_and_the_terminal_shows_the_next_one(caller: Caller):
    first = caller.links[-1]
    said = caller.log_in()
    assert (said.status, said.headers["location"]) == (303, "/")
    attributes = {part.strip().lower() for part in said.headers["set-cookie"].split(";")[1:]}
    assert {"httponly", "samesite=strict", "path=/", f"max-age={int(LASTS_SECS)}"} <= attributes
    assert "secure" not in attributes  # no TLS here: browsers would drop it
    assert caller.ask("GET", "/", cookie=said.cookie).status == 200
    assert caller.links[-1] != first
    again = caller.log_in(first.partition("#token=")[2])
    assert again.status == 403
    assert "set-cookie" not in again.headers
    assert caller.log_in().status == 303


def test_a_whole_link_can_be_pasted_where_no_script_takes_it_out(caller: Caller):
    assert caller.log_in(caller.links[-1]).status == 303


def test_a_session_that_was_known_before_the_log_in_is_not_the_one_after_it(caller: Caller):
    planted = f"{caller.console.sessions.cookie}=planted-by-somebody-else"
    assert caller.ask("GET", "/", cookie=planted).status == 303
    token = caller.links[-1].partition("#token=")[2]
    said = caller.ask("POST", "/login", OURS, {"token": token}, cookie=planted)
    assert said.cookie not in ("", planted)
    assert caller.ask("GET", "/", cookie=planted).status == 303
    other = caller.ask("POST", "/login", OURS, {"token": "editor"}, cookie=said.cookie)
    assert caller.ask("GET", "/", cookie=said.cookie).status == 303  # one browser, one session
    assert caller.ask("GET", "/", cookie=other.cookie).status == 200


def test_who_logs_out_is_out(caller: Caller):
    cookie = caller.log_in().cookie
    assert caller.ask("POST", "/logout", OURS, cookie=cookie).headers["location"] == "/login"
    assert caller.ask("GET", "/", cookie=cookie).headers["location"] == "/login"


def test_sessions_end_by_themselves():
    clock = HandClock()
    sessions = Sessions(clock)
    cookie = sessions.open("local", "editor")
    clock.now += LASTS_SECS - 1
    assert sessions.find(cookie) is not None
    clock.now += 2
    assert sessions.find(cookie) is None


def test_what_strangers_fill_is_bounded_and_the_oldest_goes():
    sessions, throttle = Sessions(HandClock()), Throttle(HandClock())
    cookies = [sessions.open("local", "editor") for _ in range(MOST + 1)]
    assert [sessions.find(cookie) is not None for cookie in cookies[:2]] == [False, True]
    first, used = sessions.of_proxy("first"), sessions.of_proxy("used")
    for number in range(MOST - 1):
        assert sessions.of_proxy("used") is used  # is not the oldest, then
        sessions.of_proxy(f"u{number}")
    assert sessions.of_proxy("used") is used
    assert sessions.of_proxy("first") is not first
    for number in range(throttle_module.MOST + 1):
        for _ in range(FAILURES):
            throttle.failed(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert [throttle.wait_secs(f"10.0.0.{number}") > 0 for number in range(2)] == [False, True]


def test_a_link_is_good_for_a_quarter_of_an_hour():
    clock = HandClock()
    sessions = Sessions(clock)
    first = sessions.once
    clock.now += LINK_SECS - 1
    assert not sessions.renewed()
    clock.now += 1
    assert not sessions.redeem(first)
    assert sessions.renewed()
    assert sessions.once != first
    assert not sessions.redeem(first)
    assert sessions.redeem(sessions.once)
    assert not sessions.renewed()


def test_who_comes_after_the_end_of_a_link_finds_another_one_in_the_terminal(caller: Caller):
    sessions, before = caller.console.sessions, len(caller.links)

    def shown() -> list[str]:
        return [link.rpartition("=")[2] for link in caller.links[before:]]

    caller.ask("GET", "/login")
    assert shown() == []
    sessions._once_ends = 0.0
    assert caller.log_in(sessions.once).status == 403
    assert shown() == [sessions.once]
    assert caller.log_in(sessions.once).status == 303
    assert len(shown()) == 2  # for the next browser
    sessions._once_ends = 0.0
    caller.ask("GET", "/login")
    caller.ask("GET", "/login")
    assert shown()[2:] == [sessions.once]


def test_tokens_are_good_as_bearer_and_in_the_page_with_their_role(caller: Caller):
    assert caller.ask("GET", "/", token="viewer").status == 200
    page = caller.ask("GET", "/", cookie=caller.log_in("operator").cookie)
    assert "operator-bot, operator" in page.text
    wrong = caller.ask("GET", "/", token="viewer2")
    assert wrong.status == 401
    assert wrong.headers["www-authenticate"] == "Bearer"
    assert caller.ask("GET", "/api/v1/nothing", token="viewer2").json["error"] == "this token is not valid"


def test_after_ten_failures_nothing_is_compared_any_more(caller: Caller):
    for _ in range(FAILURES):
        assert caller.log_in("guess").status == 403
    said = caller.log_in("guess")
    assert said.status == 429
    assert 0 < int(said.headers["retry-after"]) <= 60
    assert caller.ask("GET", "/", token="editor").status == 429  # right or wrong cannot be told
    assert caller.log_in().status == 429


def test_an_address_may_try_again_after_a_minute_and_others_at_any_time():
    clock = HandClock()
    throttle = Throttle(clock)
    for _ in range(FAILURES):
        throttle.failed("2001:db8::1")
    assert throttle.wait_secs("2001:db8::ffff") > 0  # one household has a network of these
    assert throttle.wait_secs("192.0.2.1") == 0
    clock.now += 61
    assert throttle.wait_secs("2001:db8::1") == 0


def test_a_token_that_is_taken_out_of_the_file_ends_its_sessions(tmp_path: Path):
    with served(tmp_path) as caller:
        cookie = caller.log_in("editor").cookie
        assert caller.ask("GET", "/", cookie=cookie).status == 200
        (tmp_path / "tokens").write_text("# nobody\n")
        caller.console.tokens._looked -= 10
        assert caller.ask("GET", "/", cookie=cookie).status == 303
        assert caller.ask("GET", "/", token="editor").status == 401


@pytest.mark.parametrize("by", ["token", "cookie"])
def test_what_goes_on_ends_with_the_token_that_it_began_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str
):
    monkeypatch.setattr("pipeline.console.api.tap.LOOK_SECS", 0.05)
    with served(tmp_path) as caller:
        cookie = caller.log_in("editor").cookie
        said = {"token": "authorization: Bearer editor", "cookie": f"cookie: {cookie}"}
        with socket.create_connection(("127.0.0.1", caller.port), timeout=10) as looking:
            looking.sendall(f"GET /live/rows HTTP/1.1\r\nhost: localhost\r\n{said[by]}\r\n\r\n".encode())
            assert looking.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
            tokens = tmp_path / "tokens"
            tokens.write_text(tokens.read_text().replace("editor editor-bot", "viewer editor-bot"))
            caller.console.tokens._looked -= 10
            heard = b""
            while not heard.endswith(b"0\r\n\r\n"):  # the last chunk
                heard += looking.recv(1 << 16)
            assert b"you are not logged in any more, or with other rights" in heard


def test_a_token_file_that_breaks_lets_in_whom_it_let_in(tmp_path: Path):
    file = tmp_path / "tokens"
    file.write_text(f"viewer a {sha256(b'a').hexdigest()}\n")
    tokens = Tokens(file)
    file.write_text("viewer a\n")
    tokens._looked -= 10
    assert tokens.find("a") is not None


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("viewer hunter2", "want `ROLE NAME SHA256`"),
        ("admin bot " + "0" * 64, "roles are viewer, payloads, operator, editor"),
        ("viewer bot hunter2", "is no SHA-256"),
        (f"viewer a {'0' * 64}\neditor b {'0' * 64}", "is listed twice"),
    ],
)
def test_a_token_file_says_what_is_wrong_and_never_a_token(line: str, told: str):
    with pytest.raises(UsageError, match=told) as raised:
        parse_tokens(line, "tokens")
    assert str(raised.value).startswith("tokens:")
    assert "hunter2" not in str(raised.value)


def test_a_request_by_another_name_is_misdirected(caller: Caller):
    for known in ("localhost", "127.0.0.1:99", "[::1]:8780", "hookline.internal", "HOOKLINE.internal."):
        assert caller.ask("GET", "/login", {"host": known}).status == 200, known
    for name in ("evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "", "192.0.2.7"):
        said = caller.ask("GET", "/login", {"host": name}, token="editor")
        assert said.status == 421, name
        assert said.headers["x-content-type-options"] == "nosniff"


def test_a_page_of_another_site_changes_nothing(caller: Caller):
    cookie = caller.log_in().cookie
    host = f"127.0.0.1:{caller.port}"
    cross = [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},  # another port of this machine is the same site
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:1"},
        {"sec-fetch-site": "cross-site", "origin": f"http://{host}"},
        {},
    ]
    for headers in cross:
        assert caller.ask("POST", "/logout", headers, cookie=cookie).status == 403, headers
    assert caller.ask("GET", "/", cookie=cookie).status == 200
    # A cookie and a token: the cookie is the browser's, so it could be anybody's page.
    assert caller.ask("POST", "/logout", {}, cookie=cookie, token="editor").status == 403
    assert caller.ask("POST", "/logout", {"origin": f"http://{host}"}, cookie=cookie).status == 303
    assert caller.ask("POST", "/logout", token="editor").status == 303  # curl


def test_a_log_in_leads_to_the_page_that_was_asked_for_and_to_no_other_site(caller: Caller):
    asked = caller.ask("GET", "/dead-letters?reason=a%20b").headers["location"]
    assert asked == "/login?then=/dead-letters%3Freason%3Da%2520b"
    assert 'value="/dead-letters?reason=a%20b"' in caller.ask("GET", asked).text
    for then, led in (
        ("/dead-letters?reason=a%20b", "/dead-letters?reason=a%20b"),
        ("//evil.example", "/"), ("/\\evil.example", "/"), ("https://evil.example", "/"), ("/\r\nx: y", "/"),
    ):  # fmt: skip
        said = caller.ask("POST", "/login", OURS, {"token": "editor", "then": then})
        assert said.headers["location"] == led, then


def test_a_link_of_another_site_brings_no_cookie_so_the_page_asks_for_itself_again(caller: Caller):
    page = caller.ask("GET", "/webhooks?q=w", {"sec-fetch-site": "cross-site"})
    assert page.status == 200
    assert '<meta http-equiv="refresh" content="0">' in page.text


def test_a_proxy_that_takes_the_base_path_away_is_told_so(tmp_path: Path):
    with served(tmp_path, base_path="/hookline") as caller:
        assert caller.ask("GET", "/hookline").headers["location"] == "/hookline/"
        for path in ("/", "/webhooks", "/hooklines/"):
            said = caller.ask("GET", path)
            assert said.status == 404
            assert "begin with /hookline/" in said.text


def test_over_plain_http_a_proxys_user_is_told_why_no_log_in_lasts(tmp_path: Path):
    with served(tmp_path, behind_proxy=True, hosts=["h.example"]) as caller:
        plain = {"host": "h.example", "origin": "http://h.example"}
        token = caller.links[-1].partition("#token=")[2]
        said = caller.ask("POST", "/login", plain, {"token": token})
        assert said.status == 403
        assert "over plain HTTP" in said.text
        assert caller.log_in(host="h.example").status == 303  # the token was not used up


def test_a_get_never_logs_out(caller: Caller):
    cookie = caller.log_in().cookie
    assert caller.ask("GET", "/logout", cookie=cookie).status == 405
    assert caller.ask("GET", "/", cookie=cookie).status == 200


def test_every_answer_says_what_its_page_may_do(caller: Caller):
    cookie = caller.log_in().cookie
    for path in ("/", "/login", "/nowhere", "/static/console.css", "/api/v1/nowhere"):
        headers = caller.ask("GET", path, cookie=cookie).headers
        policy = headers["content-security-policy"]
        assert "frame-ancestors 'none'" in policy, path
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"  # without a referrer a form's Origin is `null`
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert "access-control-allow-origin" not in headers
        assert "server" not in headers
        if not path.startswith("/static"):
            assert headers["cache-control"] == "no-store"
    nonces = {caller.ask("GET", "/login").headers["content-security-policy"] for _ in range(3)}
    assert len(nonces) == 3


HEADERS = {"user_header": "x-forwarded-user", "role_header": "x-forwarded-role"}
PROXY = {"from": ["127.0.0.1/32"], **HEADERS}
OTHER = {"from": ["192.0.2.0/24"], **HEADERS}


def test_a_proxy_says_who_is_logged_in(tmp_path: Path):
    with served(tmp_path, proxy=PROXY, behind_proxy=True, hosts=["h.example"]) as caller:
        ada = {"x-forwarded-user": "ada", "host": "h.example"}
        page = caller.ask("GET", "/", ada | {"x-forwarded-role": "operator"})
        assert "ada, operator" in page.text
        assert "ada, viewer" in caller.ask("GET", "/", ada).text
        # A role that is none gives the least, whatever the usual one is.
        assert "ada, viewer" in caller.ask("GET", "/", ada | {"x-forwarded-role": "root"}).text
        assert caller.ask("GET", "/", {"host": "h.example"}).headers["location"] == "/login"
        # It lets people in wherever the request was made: a form has to say where.
        assert caller.ask("POST", "/logout", ada).status == 403
        assert caller.ask("POST", "/logout", ada | OURS).status == 303
        assert caller.ask("POST", "/logout", ada | {"origin": "https://h.example"}).status == 303
        assert "secure" in caller.log_in(host="h.example").headers["set-cookie"].lower()
        assert caller.links[0].startswith("https://h.example/login#token=")


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        (["192.0.2.1"], "192.0.2.1"),
        (["9.9.9.9, 192.0.2.1"], "192.0.2.1"),  # what a client writes stands before what a proxy adds
        (["9.9.9.9, 192.0.2.1, 10.0.0.7"], "192.0.2.1"),
        (["9.9.9.9", "192.0.2.1:4711, 10.0.0.7:80"], "192.0.2.1"),
        (["[2001:db8::1]:4711,10.0.0.7"], "2001:db8::1"),
        (["2001:db8::1"], "2001:db8::1"),
        (["10.0.0.9, 10.0.0.7"], "10.0.0.9"),
        ([" , "], "127.0.0.1"),
        ([], "127.0.0.1"),
    ],
)
def test_behind_a_chain_of_proxies_the_client_is_whom_the_outermost_of_them_saw(
    forwarded: list[str], client: str
):
    proxy = ConsoleSection.model_validate({"proxy": {"from": ["127.0.0.1/32", "10.0.0.0/8"]}}).proxy
    assert client_of("127.0.0.1", forwarded, proxy) == client
    assert client_of("192.0.2.9", forwarded, proxy) == "192.0.2.9"


def test_the_header_of_a_proxy_is_refused_from_anybody_else(tmp_path: Path):
    with served(tmp_path, proxy=OTHER) as caller:
        for name in ("x-forwarded-user", "x-forwarded-role"):
            said = caller.ask("GET", "/", {name: "editor"}, token="viewer")
            assert said.status == 403
            assert "an address that is not the proxy" in said.text
        line = caller.audit[-1]
        assert (line["action"], line["status"], line["from"]) == ("refused", 403, "127.0.0.1")


def test_behind_a_proxy_each_client_has_its_own_failures(tmp_path: Path):
    with served(tmp_path, proxy=PROXY) as caller:
        for _ in range(FAILURES):
            assert caller.log_in("guess", **{"x-forwarded-for": "10.9.9.9, 192.0.2.1"}).status == 403
        assert caller.log_in("guess", **{"x-forwarded-for": "192.0.2.1"}).status == 429
        assert caller.log_in("guess", **{"x-forwarded-for": "192.0.2.1, 192.0.2.2"}).status == 403
        assert {line.get("from") for line in caller.audit} == {"192.0.2.1", "192.0.2.2"}


def test_read_only_and_hidden_payloads_take_rights_from_everybody(tmp_path: Path):
    with served(tmp_path, read_only=True, hide_payloads=True) as caller:
        assert "editor-bot, editor, read-only" in caller.ask("GET", "/", token="editor").text


def section(**given: object) -> ConsoleSection:
    return ConsoleSection.model_validate(given)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "--token-file"),
        ({"tokens": "t"}, "--behind-proxy"),
        ({"behind_proxy": True}, "--token-file"),
        ({"proxy": {"from": ["10.0.0.0/8"]}, "behind_proxy": True}, "--proxy-user-header"),
        ({"proxy": OTHER}, "--behind-proxy"),
    ],
)
def test_a_console_that_others_reach_wants_to_know_who_comes_and_over_tls(given: dict, told: str):
    for host in ("0.0.0.0:1", "[::]:1", "10.0.0.1:1", "hookline.internal:1"):
        with pytest.raises(UsageError, match=told):
            check_door(section(listen=host, **given))
    check_door(section(**given))
    check_door(section(listen="0.0.0.0:1", tokens="t", behind_proxy=True))
    check_door(section(listen="0.0.0.0:1", proxy=OTHER, behind_proxy=True))


def test_it_is_said_where_a_stranger_behind_the_proxy_would_lock_everybody_out(
    caplog: pytest.LogCaptureFixture,
):
    for host in ("127.0.0.1:1", "0.0.0.0:1"):
        named = {"listen": host, "tokens": "t", "behind_proxy": True}
        check_door(section(**named, proxy={"from": ["::1/128"]}))
        assert not caplog.text
        check_door(section(**named))
        assert "console.proxy.from" in caplog.text
        caplog.clear()


def test_links_name_an_address_that_a_browser_reaches():
    assert link(section(listen="0.0.0.0:1", base_path="/h"), 1, "t") == "http://127.0.0.1:1/h/login#token=t"
    assert link(section(listen="[::1]:1"), 1, "t") == "http://[::1]:1/login#token=t"


def test_bodies_are_bounded_and_forms_are_forms(caller: Caller):
    assert caller.ask("POST", "/login", OURS, {"token": "x" * (1 << 20)}).status == 413
    assert caller.ask("POST", "/login", OURS, b"token=x").status == 400
    long = caller.ask("GET", "/login", {"x-long": "x" * 20_000})
    assert long.status in (400, 431)
    assert "Traceback" not in long.text


def test_a_path_leads_nowhere_else(caller: Caller):
    for path in (
        "/static/../../../pyproject.toml", "/static/%2e%2e/%2e%2e/pyproject.toml", "/static/..%2fapp.py",
        "/static//etc/passwd", "/static/console.css%00", "/assets/..%5c..%5capp.py", "//evil.example/",
    ):  # fmt: skip
        said = caller.ask("GET", path)
        assert said.status in (400, 404), path
        assert str(Path.cwd()) not in said.text


def test_who_connects_and_says_nothing_is_sent_away(caller: Caller, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("pipeline.console.serving.service.HEAD_SECS", 0.2)
    with socket.create_connection(("127.0.0.1", caller.port), timeout=10) as silent:
        silent.sendall(b"GET /login HTTP/1.1\r\nhost: localhost\r\nx-slow: ")
        try:
            assert silent.recv(100) == b""
        except ConnectionResetError:
            pass


def test_a_body_that_never_ends_is_not_waited_for(caller: Caller, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("pipeline.console.serving.app.REQUEST_SECS", 0.3)
    with socket.create_connection(("127.0.0.1", caller.port), timeout=10) as slow:
        slow.sendall(
            b"POST /login HTTP/1.1\r\nhost: localhost\r\nsec-fetch-site: same-origin\r\n"
            b"content-length: 100\r\ncontent-type: application/x-www-form-urlencoded\r\n\r\ntoken="
        )
        assert slow.recv(1000).startswith(b"HTTP/1.1 503 ")
