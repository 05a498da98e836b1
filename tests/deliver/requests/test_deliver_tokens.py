"""OAuth2 tokens that come late, are refused or make no sense: what is awaited counts, what failed is told."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import signal
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from pipeline.config.models.webhooks.delivery import BatchSettings, DeliverySettings, RetrySettings
from pipeline.config.models.webhooks.receiver import OAuth2Auth, ReceiverSettings
from pipeline.deliver.engine import DeliveryEngine
from pipeline.deliver.http.attempt import OwnLimit, Posted
from pipeline.deliver.http.by_aiohttp.client import AiohttpClient
from pipeline.deliver.http.resolve import Resolver
from pipeline.deliver.http.tls import Contexts
from pipeline.deliver.lanes import access_tokens
from pipeline.deliver.lanes.access_tokens import not_given
from pipeline.deliver.lanes.lane import Lane
from pipeline.deliver.requests.credentials import UsedSecrets
from pipeline.deliver.requests.oauth import (
    EARLY_SECS,
    LEAST_SECS,
    MAX_ASKED_SECS,
    UNKNOWN_SECS,
    Issued,
    RefreshTokens,
    Token,
    TokenError,
    request_token,
)
from pipeline.deliver.requests.spec import LaneSpec
from pipeline.language.secrets import Secrets
from pipeline.outbox.handover import Outcome
from pipeline.receiver.server import Receiver
from pipeline.telemetry import metrics
from tests.kit.delivery.rig import LOOPBACK, Disk, Rig, delivery, submit
from tests.kit.programs.run import HOOKLINE, Bench, ended, finished, until

R, X = Outcome.RETRY, Outcome.DEAD
TOKEN = {"status": 200, "body": '{"access_token": "t1", "expires_in": 3600}'}
REFUSED = {"status": 401, "body": '{"error": "invalid_client"}'}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def spec(receiver: Receiver, **settings: Any) -> LaneSpec:
    auth = OAuth2Auth(receiver.url("/token"), "id", "s3cret-value")
    return LaneSpec("w", receiver=ReceiverSettings(auth=auth), delivery=DeliverySettings(**settings))


@pytest.fixture
def drained(receiver: Receiver) -> Iterator[Callable[..., tuple[float, Disk]]]:
    """Hand five deliveries over and drain at once; return how long that took and what came of it."""
    engines: list[DeliveryEngine] = []

    def drain(secs: float, **settings: Any) -> tuple[float, Disk]:
        engine, disk = DeliveryEngine(allow=LOOPBACK), Disk()
        engines.append(engine)
        engine.start()
        engine.orders.configure({"w": spec(receiver, **settings)})
        now_ms = int(time.time() * 1000)
        given = [delivery(n, url=receiver.url("/hook"), created_ms=now_ms) for n in range(5)]
        submit(engine, disk.port, given)
        begun = time.monotonic()
        engine.drain(secs)
        return time.monotonic() - begun, disk

    yield drain
    for engine in engines:
        engine.stop()


def asked(receiver: Receiver) -> int:
    return sum(request.path == "/token" for request in receiver.requests)


@pytest.mark.parametrize("batch", [None, BatchSettings(max_wait_secs=3600.0)])
def test_a_drain_waits_for_a_token_and_for_what_it_lets_through(
    receiver: Receiver, drained: Any, batch: BatchSettings | None
) -> None:
    receiver.answer({"/token": TOKEN | {"delay_secs": 0.8}, "*": 200})
    took, disk = drained(20.0, batch=batch)
    assert 0.8 <= took < 10
    assert Counter(each.outcome for each in disk.take()) == {Outcome.DELIVERED: 5}


def test_webhooks_with_the_same_credentials_use_one_token(receiver: Receiver) -> None:
    """Some servers end a client's token when they issue its next."""
    second = {"status": 200, "body": '{"access_token": "t2", "expires_in": 3600}'}
    receiver.answer({"/token": [TOKEN, second], "/a": [401, 200], "/b": [401, 200], "*": 200})
    engine, disk = DeliveryEngine(allow=LOOPBACK), Disk()
    engine.start()
    try:
        engine.orders.configure({name: replace(spec(receiver), webhook_id=name) for name in "ab"})
        for n, name in enumerate("ab"):
            now_ms = int(time.time() * 1000)
            given = [delivery(n, webhook=name, url=receiver.url(f"/{name}"), created_ms=now_ms)]
            submit(engine, disk.port, given)
        engine.drain(20.0)
    finally:
        engine.stop()
    assert [each.outcome for each in disk.take()] == 2 * [Outcome.DELIVERED]
    sent = [(each.path, each.headers.get("authorization")) for each in receiver.requests]
    assert asked(receiver) == 2
    assert {each for each in sent if each[0] != "/token"} == {
        (path, f"Bearer {token}") for path in ("/a", "/b") for token in ("t1", "t2")
    }


def test_a_proxy_of_one_webhook_keeps_no_token_from_another(receiver: Receiver) -> None:
    receiver.answer({"/token": TOKEN, "*": 200})
    closed = socket.create_server(("127.0.0.1", 0))
    dead = f"http://127.0.0.1:{closed.getsockname()[1]}"
    closed.close()
    engine, disk = DeliveryEngine(allow=LOOPBACK), Disk()
    engine.start()
    try:
        engine.orders.configure(
            {
                "behind": replace(spec(receiver, client="aiohttp", proxy=dead), webhook_id="behind"),
                "w": replace(spec(receiver), webhook_id="w"),
            }
        )
        now_ms = int(time.time() * 1000)
        given = [
            delivery(n, webhook=name, url=receiver.url(f"/{name}"), created_ms=now_ms)
            for n, name in enumerate(("behind", "w"))
        ]
        submit(engine, disk.port, given)
        until(lambda: told_of(engine, "behind") and any(one.path == "/w" for one in receiver.requests))
    finally:
        engine.stop()
    assert "the proxy" in engine.stats().lanes["behind"].error
    # None of its own was refused before.
    assert all(each.outcome is Outcome.DELIVERED for each in disk.take() if each.delivery.row == given[1].row)


def test_a_token_endpoint_that_refuses_is_asked_for_all_webhooks_together(receiver: Receiver) -> None:
    """It may lock the client where each of a thousand webhooks keeps asking."""
    receiver.answer({"/token": {"status": 429, "headers": {"retry-after": "60"}}, "*": 200})
    names = [f"w{n}" for n in range(5)]
    engine, disk = DeliveryEngine(allow=LOOPBACK), Disk()
    engine.start()
    try:
        engine.orders.configure({name: replace(spec(receiver), webhook_id=name) for name in names})
        for n, name in enumerate(names):
            now_ms = int(time.time() * 1000)
            given = delivery(n, webhook=name, url=receiver.url("/hook"), created_ms=now_ms)
            submit(engine, disk.port, [given])
            until(partial(told_of, engine, name))
    finally:
        engine.stop()
    assert asked(receiver) == 1
    assert len(disk.take()) == 1  # no attempt of the others


def told_of(engine: DeliveryEngine, name: str) -> bool:
    lane = engine.stats().lanes.get(name)
    return lane is not None and bool(lane.error)


def test_behind_a_proxy_the_token_is_asked_for_through_it(receiver: Receiver) -> None:
    receiver.answer({"http://token.test/token": TOKEN, "*": 200})
    auth = OAuth2Auth("http://token.test/token", "id", "s3cret-value")
    delivered_by = DeliverySettings(client="aiohttp", proxy=receiver.url().replace("://", "://me:p%40ss@"))
    engine, disk = DeliveryEngine(allow=LOOPBACK, lookup=nobody_knows), Disk()
    engine.start()
    try:
        engine.orders.configure(
            {"w": LaneSpec("w", receiver=ReceiverSettings(auth=auth), delivery=delivered_by)}
        )
        now_ms = int(time.time() * 1000)
        submit(engine, disk.port, [delivery(1, url="http://hook.test/hook", created_ms=now_ms)])
        engine.drain(20.0)
    finally:
        engine.stop()
    assert [each.outcome for each in disk.take()] == [Outcome.DELIVERED]
    assert [request.path for request in receiver.requests] == [
        "http://token.test/token", "http://hook.test/hook",
    ]  # fmt: skip
    pair = "Basic " + base64.b64encode(b"me:p@ss").decode()
    assert {request.headers["proxy-authorization"] for request in receiver.requests} == {pair}


def nobody_knows(host: str, port: int) -> list[Any]:
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


def test_a_drain_does_not_wait_for_a_token_beyond_its_deadline(receiver: Receiver, drained: Any) -> None:
    receiver.answer({"/token": "hang", "*": 200})
    took, disk = drained(0.5)
    assert 0.4 < took < 3
    assert disk.take() == []


def test_a_token_that_comes_at_the_second_time_is_waited_for(receiver: Receiver, drained: Any) -> None:
    receiver.answer({"/token": [503, TOKEN], "*": 200})
    took, disk = drained(20.0)
    assert took < 10
    results = disk.take()
    assert Counter(each.outcome for each in results) == {R: 5, Outcome.DELIVERED: 5}


@pytest.mark.parametrize(("most", "attempts"), [(1, 1), (2, 2), (None, 3)])
def test_a_refused_token_ends_in_dead_letters_that_name_its_status(
    receiver: Receiver, drained: Any, most: int | None, attempts: int
) -> None:
    receiver.answer({"/token": REFUSED, "*": 200})
    _, disk = drained(20.0, retry=RetrySettings(max_attempts=most, min_delay_secs=0.1))
    dead = [each for each in disk.take() if each.outcome is X]
    assert {each.reason for each in dead} == {"token-status-401"}
    assert len(dead) == 5
    for each in dead:
        progress = each.delivery.progress
        assert progress.attempt == attempts
        assert progress.excerpt == 'oauth2: the token endpoint answered 401: {"error": "invalid_client"}'
    assert {request.path for request in receiver.requests} == {"/token"}


def test_a_refusal_with_a_status_of_success_is_a_refusal(receiver: Receiver, drained: Any) -> None:
    receiver.answer({"/token": {"status": 200, "body": '{"error": "invalid_scope"}'}, "*": 200})
    _, disk = drained(20.0)
    dead = [each for each in disk.take() if each.outcome is X]
    assert {each.reason for each in dead} == {"token-status-200"}
    assert all("invalid_scope" in each.delivery.progress.excerpt for each in dead)


def test_a_token_may_come_with_any_status_of_success(receiver: Receiver, drained: Any) -> None:
    receiver.answer({"/token": {**TOKEN, "status": 201}, "*": 200})
    _, disk = drained(20.0)
    assert {each.outcome for each in disk.take()} == {Outcome.DELIVERED}


@pytest.mark.parametrize(
    "body",
    [
        b'{"access_token": "t0k3n"}',
        b'{"Refresh_Token" : "t0k3n"}',
        b"access_token=t0k3n",
        b'{"accessToken":"t0k3n"}',
    ],
)
def test_what_is_told_of_a_refusal_holds_no_token(body: bytes) -> None:
    assert "t0k3n" not in refusal(body)


def test_what_is_told_of_a_refusal_is_unpacked() -> None:
    body = gzip.compress(b'{"error": "invalid_token"}')
    assert refusal(body, {"content-encoding": "gzip"}).endswith('answered 403: {"error": "invalid_token"}')


def refusal(body: bytes, headers: dict[str, str] | None = None) -> str:
    """Return what is told where the token endpoint answers 403 with this body."""

    async def post(url: str, form: bytes, sent: dict[str, str]) -> Posted:
        return Posted(403, headers or {}, body, cut=False)

    secrets = UsedSecrets(Secrets())
    with pytest.raises(TokenError) as told:
        asyncio.run(request_token(OAuth2Auth("https://t.test/", "id", "s"), secrets, post, {}))
    return str(told.value)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (500, "answered 500"),
        (429, "answered 429"),
        ("reset", "oauth2: "),
        ({"status": 200, "body": "<html>"}, "cannot be read"),
        ({"status": 200, "body": '{"access_token": "a\\nb"}'}, "no text that a header can carry"),
    ],
)
def test_a_token_that_is_not_given_is_asked_for_again_and_said(
    receiver: Receiver, drained: Any, answer: Any, said: str
) -> None:
    receiver.answer({"/token": answer, "*": 200})
    _, disk = drained(1.2)
    results = disk.take()
    assert {each.outcome for each in results} == {R}
    assert all(said in each.delivery.progress.excerpt for each in results)
    assert 1 <= asked(receiver) <= 2
    receiver.answer({"/token": answer, "*": 200})
    _, disk = drained(20.0, retry=RetrySettings(max_attempts=1))
    assert {(each.outcome, each.reason) for each in disk.take()} == {(X, "max-attempts")}


def test_while_no_token_is_given_age_counts() -> None:
    auth = ReceiverSettings(auth=OAuth2Auth("https://t.test/", "id", "s"))
    rig = Rig(LaneSpec("w", receiver=auth, delivery=DeliverySettings(retry=RetrySettings(max_age_secs=60.0))))
    rig.give(delivery(1))
    lane = rig.core.lane("w")
    for _ in range(70):
        rig.run(1.0)
        refuse(rig, lane)
    last = rig.results()[-1]
    assert (last.outcome, last.reason) == (X, "max-age")
    assert last.delivery.progress.excerpt == "oauth2: unreachable"
    assert 4 <= last.delivery.progress.attempt <= 40


def refuse(rig: Rig, lane: Lane) -> None:
    if lane.token is not None and lane.token.asking:
        lane.token.failed(rig.clock.now())
        not_given(rig.core.settler, lane, "oauth2: unreachable", 0, rig.clock.now())
        rig.core.nudge(lane)


def exchanged(auth: OAuth2Auth, *answers: Posted) -> tuple[list[tuple[dict[str, str], str | None]], Any]:
    """Return the forms sent to a token endpoint, each with its `authorization`, and the token or error."""
    left, sent = list(answers), []

    async def post(url: str, form: bytes, headers: dict[str, str]) -> Posted:
        assert url == "https://t.test/"
        sent.append((dict(parse_qsl(form.decode(), strict_parsing=True)), headers.get("authorization")))
        return left.pop(0)

    secrets = UsedSecrets(Secrets({"S": "a s:ü\n", "R": "r&1"}))
    try:
        return sent, asyncio.run(request_token(auth, secrets, post, {}))
    except TokenError as error:
        return sent, error


GIVEN = Posted(200, {}, b'{"access_token": "t1"}', cut=False)


def test_a_token_is_asked_for_by_the_grants_that_are_configured() -> None:
    basic = "Basic " + base64.b64encode(b"i%2Fd:a+s%3A%C3%BC").decode()
    sent, token = exchanged(OAuth2Auth("https://t.test/", "i/d", "${S}"), GIVEN)
    assert sent == [({"grant_type": "client_credentials"}, basic)]
    assert token == ("t1", UNKNOWN_SECS)
    sent, _ = exchanged(OAuth2Auth("https://t.test/", "i/d", "${S}", "a b", "${R}"), GIVEN)
    form = {"grant_type": "refresh_token", "refresh_token": "r&1", "scope": "a b"}
    assert sent == [(form, basic)]
    sent, _ = exchanged(OAuth2Auth("https://t.test/", "i/d", "${S}", audience="a", resource="r"), GIVEN)
    assert sent == [({"grant_type": "client_credentials", "audience": "a", "resource": "r"}, basic)]


def test_a_refresh_token_that_is_replaced_with_each_token_is_followed() -> None:
    """It is told to nobody, serves all webhooks that have it configured, and a refusal ends it."""
    auth = OAuth2Auth("https://t.test/", "id", "s3cret-value", refresh_token="r0-configured")
    secrets = UsedSecrets(Secrets())
    rotated: RefreshTokens = {}
    sent: list[str] = []
    answers = [
        b'{"access_token": "t1", "refresh_token": "r1-of-the-server"}', b'{"access_token": "t2"}',
        b'{"error": "invalid_grant"}', b'{"error": "invalid_grant"}', b'{"access_token": "t3"}',
    ]  # fmt: skip

    async def post(url: str, form: bytes, headers: dict[str, str]) -> Posted:
        sent.append(dict(parse_qsl(form.decode()))["refresh_token"])
        body = answers.pop(0)
        return Posted(400 if b"error" in body else 200, {}, body, cut=False)

    def ask() -> str:
        return asyncio.run(request_token(auth, secrets, post, rotated))[0]

    assert [ask(), ask()] == ["t1", "t2"]
    with pytest.raises(TokenError):
        ask()
    assert ask() == "t3"
    assert sent == ["r0-configured", *3 * ["r1-of-the-server"], "r0-configured"]
    assert "r1-of" not in secrets.mask("it was r1-of-the-server")


def test_webhooks_that_share_a_refresh_token_use_each_once_and_no_proxy_makes_it_forgotten() -> None:
    auth = OAuth2Auth("https://t.test/", "id", "s3cret-value", refresh_token="r0")
    rotated: RefreshTokens = {}
    valid = ["r0"]

    async def post(url: str, form: bytes, headers: dict[str, str]) -> Posted:
        await asyncio.sleep(0)
        if dict(parse_qsl(form.decode()))["refresh_token"] != valid[-1]:
            return Posted(400, {}, b'{"error": "invalid_grant"}', cut=False)
        valid.append(f"r{len(valid)}")
        made = b'{"access_token": "t", "refresh_token": "%b"}' % valid[-1].encode()
        return Posted(200, {}, made, cut=False)

    async def blocked(url: str, form: bytes, headers: dict[str, str]) -> Posted:
        return Posted(403, {}, b"", cut=False)

    async def ask(post: Any) -> list[Any]:
        asked = (request_token(auth, UsedSecrets(Secrets()), post, rotated) for _ in range(3))
        return await asyncio.gather(*asked, return_exceptions=True)

    async def run() -> None:
        for _ in range(2):
            assert await ask(post) == 3 * [("t", UNKNOWN_SECS)]
            assert {each.status for each in await ask(blocked)} == {403}

    asyncio.run(run())


def test_an_expired_token_that_nobody_asks_for_may_be_forgotten() -> None:
    issued = Issued("t", lifetime_secs=600.0, at=100.0)
    assert issued.is_used(200.0)
    assert not issued.is_used(700.0)
    assert not Issued().is_used(0.0)


@pytest.mark.parametrize("status", [200, 400, 401, 403])
def test_a_server_that_reads_credentials_from_the_form_only_gets_them_there(status: int) -> None:
    refused = Posted(status, {}, b'{"error": "invalid_client"}', cut=False)
    auth = OAuth2Auth("https://t.test/", "i/d", "${S}")
    sent, token = exchanged(auth, refused, GIVEN)
    form = {"grant_type": "client_credentials", "client_id": "i/d", "client_secret": "a s:ü"}
    assert sent[1] == (form, None)
    assert token == ("t1", UNKNOWN_SECS)
    _, error = exchanged(auth, refused, refused)
    assert error.status == status
    _, error = exchanged(auth, refused, Posted(400, {}, b"use the header", cut=False))
    assert "invalid_client" in str(error)
    assert str(error).endswith("in the form: the token endpoint answered 400: use the header")


@pytest.mark.parametrize(
    ("status", "body", "final"),
    [
        (199, b"", 0),
        (300, b"", 300),
        (302, b"", 302),
        (403, b"", 403),
        (408, b"", 0),
        (425, b"", 0),
        (429, b"", 0),
        (499, b"", 499),
        (500, b"", 0),
        (200, b'{"error": "invalid_scope"}', 200),
        (200, b'{"error": "temporarily_unavailable"}', 0),
        (200, b'{"error": "slow_down"}', 0),
        (200, b"{}", 0),
        (200, b'["access_token"]', 0),
        (200, b"null", 0),
        (200, b'{"access_token": null}', 0),
        (200, b'{"access_token": ""}', 0),
        (200, b'{"access_token": 5}', 0),
        (200, '{"access_token": "ü"}'.encode(), 0),
        (200, b'{"access_token": "a\\nb"}', 0),
    ],
)
def test_only_a_refusal_is_final(status: int, body: bytes, final: int) -> None:
    answer = Posted(status, {}, body, cut=False)
    sent, error = exchanged(OAuth2Auth("https://t.test/", "id", "s"), answer, answer)
    assert isinstance(error, TokenError)
    assert (len(sent), error.status) == (1 if final in (0, 300, 302) else 2, final)
    assert str(error).startswith("the token endpoint")


def test_it_is_said_where_a_token_endpoint_redirects_to() -> None:
    moved = Posted(301, {"location": "https://t.test/v2"}, b"<html>", cut=False)
    _, error = exchanged(OAuth2Auth("https://t.test/", "id", "s"), moved)
    assert str(error) == "the token endpoint answered 301: it redirects to https://t.test/v2"


@pytest.mark.parametrize("said", ["0", "-5", '"soon"', "null", "true", "[]", '"NaN"', '"Infinity"'])
def test_a_lifetime_that_makes_no_sense_is_unknown(said: str) -> None:
    assert lifetime(said) == UNKNOWN_SECS


@pytest.mark.parametrize(("said", "secs"), [("60", 60.0), ('"90"', 90.0), ("1.5", 1.5)])
def test_a_lifetime_is_taken_as_a_number_or_its_text(said: str, secs: float) -> None:
    assert lifetime(said) == secs


def lifetime(said: str) -> float:
    """Return how long a token is taken to live that comes with this `expires_in`."""

    async def post(url: str, form: bytes, headers: dict[str, str]) -> Posted:
        body = f'{{"access_token": "t1", "expires_in": {said}}}'
        return Posted(200, {}, body.encode(), cut=False)

    auth = OAuth2Auth("https://t.test/", "id", "s")
    return asyncio.run(request_token(auth, UsedSecrets(Secrets()), post, {}))[1]


def test_a_lane_asks_for_a_token_once_a_second_at_most() -> None:
    token = Token(OAuth2Auth("https://t.test/", "id", "s"))
    token.ask(100.0)
    token.arrived("t1", 3600.0, 100.1)
    assert token.usable(100.1)
    assert token.refuse(token.generation, 100.2)
    assert not token.usable(100.2)
    assert token.retry_at == 100.0 + LEAST_SECS


@pytest.mark.parametrize("lifetime", [1.0, 60.0, 61.0, 3600.0])
def test_a_token_is_renewed_early_and_a_short_lived_one_is_used_for_its_whole_life(lifetime: float) -> None:
    token = Token(OAuth2Auth("https://t.test/", "id", "s"))
    token.ask(99.0)
    token.arrived("t1", lifetime, 100.0)
    end = 100.0 + lifetime - (EARLY_SECS if lifetime > 60.0 else 0.0)
    assert token.usable(end - 0.01)
    assert not token.usable(end)


def test_pauses_between_failures_double_up_to_a_minute_and_end_with_a_token() -> None:
    token = Token(OAuth2Auth("https://t.test/", "id", "s"))
    pauses = []
    for _ in range(12):
        token.ask(100.0)
        token.failed(100.0, refused=True)
        pauses.append(token.retry_at - 100.0)
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60, 60]
    for asked_secs, pause in ((59.0, 60.0), (300.0, 300.0), (86400.0, MAX_ASKED_SECS)):
        token.failed(100.0, asked_secs, refused=True)
        assert token.retry_at - 100.0 == pause
    assert token.refusals == 15
    token.failed(100.0)
    assert token.refusals == 0  # in a row, that is
    token.failed(100.0, refused=True)
    token.arrived("t1", 3600.0, 100.0)
    assert (token.failures, token.refusals, token.asking) == (0, 0, False)


def test_a_refusal_of_an_older_token_leaves_the_new_one() -> None:
    token = Token(OAuth2Auth("https://t.test/", "id", "s"))
    token.arrived("t1", 3600.0, 100.0)
    old = token.generation
    token.arrived("t2", 3600.0, 100.0)
    assert token.refuse(old, 100.0)
    assert token.usable(100.0)
    assert token.refuse(token.generation, 100.0)
    assert not token.usable(100.0)


def test_a_renewal_that_fails_counts_as_an_error_also_while_the_old_token_is_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    metrics.reset()
    answers: list[TokenError | tuple[str, float]] = [TokenError("answered 500"), ("t2", 3600.0)]

    async def answer(*_: Any) -> tuple[str, float]:
        if isinstance(found := answers.pop(0), TokenError):
            raise found
        return found

    monkeypatch.setattr(access_tokens, "request_token", answer)
    auth = ReceiverSettings(auth=OAuth2Auth("https://t.test/", "id", "s"))
    rig = Rig(LaneSpec("w", receiver=auth))
    rig.give(delivery(1))
    lane = rig.core.lane("w")
    assert lane.token is not None
    lane.token.arrived("t1", 3600.0, rig.clock.now())

    async def ask() -> None:
        answered = asyncio.Event()
        client = AiohttpClient(lambda attempt: None, Resolver(()), Contexts())
        tokens = access_tokens.Tokens(
            {"aiohttp": client}, rig.clock, rig.core.settler, lambda lane: answered.set()
        )
        tokens.fetch(lane)
        await answered.wait()
        await client.close()

    asyncio.run(ask())
    assert metrics.read("oauth_tokens_total", webhook="w", result="error") == 1
    assert metrics.read("oauth_tokens_total", webhook="w", result="ok") == 0
    asyncio.run(ask())
    assert metrics.read("oauth_tokens_total", webhook="w", result="ok") == 1


@pytest.fixture
def bench(tmp_path: Path, receiver: Receiver) -> Bench:
    bench = Bench(tmp_path)
    auth = f'  auth: {{oauth2: {{token_url: "{receiver.url("/token")}", client_id: a, client_secret: s3}}}}\n'
    bench.webhook("w", receiver.url("/hook"), auth)
    bench.append(*({"id": f"e{n}"} for n in range(5)))
    return bench


def test_a_run_and_a_send_wait_for_a_slow_token(bench: Bench, receiver: Receiver) -> None:
    receiver.answer({"/token": TOKEN | {"delay_secs": 1.5}, "*": 200})
    assert bench.run()["webhooks"]["w"]["delivered"] == 5
    event = bench.folder / "event.json"
    event.write_text(json.dumps({"type": "event", "name": "E", "user_id": "u1"}))
    words = (HOOKLINE, "send", "-c", bench.config, "--webhook", "w", "--event", event, "--json")
    assert json.loads(finished(*words)[0])["answer"]["outcome"] == "delivered"


def test_a_stop_waits_for_a_token_within_its_time(bench: Bench, receiver: Receiver) -> None:
    receiver.answer({"/token": TOKEN | {"delay_secs": 2.0}, "*": 200})
    with bench.started("--follow", "--json") as job:
        until(lambda: asked(receiver))
        job.send_signal(signal.SIGTERM)
        said, _ = ended(job)
    assert json.loads(said)["webhooks"]["w"]["delivered"] == 5


def test_a_token_that_this_machine_could_not_ask_for_is_no_attempt(drained: Any, receiver: Receiver) -> None:
    asked = 0
    post = AiohttpClient.post

    async def lacking_once(self: AiohttpClient, *given: Any, **named: Any) -> Posted:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise OwnLimit("this process may not open more files")
        return await post(self, *given, **named)

    receiver.answer({"/token": [TOKEN], "/hook": [200]})
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(AiohttpClient, "post", lacking_once)
        _, disk = drained(20.0, retry=RetrySettings(max_attempts=1))
    assert [each.outcome for each in disk.take()] == [Outcome.DELIVERED] * 5
