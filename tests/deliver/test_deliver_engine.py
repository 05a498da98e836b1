"""The engine in its thread, against a real receiver on loopback: nothing lost, nothing counted twice."""

from __future__ import annotations

import ssl
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.config.models.webhooks.delivery import DeliverySettings, RetrySettings
from pipeline.config.models.webhooks.receiver import (
    BasicAuth,
    BearerAuth,
    HeaderAuth,
    HmacSignature,
    OAuth2Auth,
    ReceiverSettings,
    StandardSignature,
)
from pipeline.deliver.engine import DeliveryEngine
from pipeline.deliver.requests.spec import LaneSpec
from pipeline.deliver.stats import LaneStats
from pipeline.language.secrets import Secrets
from pipeline.model.errors import Fatal
from pipeline.outbox.handover import Delivery, Outcome, Port, Result
from pipeline.receiver.server import Receiver
from pipeline.receiver.verify import check_request
from pipeline.telemetry import metrics
from tests.kit.delivery.rig import LOOPBACK, Disk, Journal, delivery, submit
from tests.kit.receivers.certificates import Certificates
from tests.kit.receivers.receiver import read_records

D, R, X, P = Outcome.DELIVERED, Outcome.RETRY, Outcome.DEAD, Outcome.PARKED
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def wait_for(condition: Callable[[], Any], secs: float = 10.0) -> None:
    """Return when the condition holds; fail after the time."""
    end = time.monotonic() + secs
    while not condition():
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.002)


def lane(engine: DeliveryEngine, webhook: str) -> LaneStats:
    """Return a lane's numbers as soon as there is one."""
    wait_for(lambda: webhook in engine.stats().lanes)
    return engine.stats().lanes[webhook]


@pytest.fixture
def start() -> Iterator[Callable[..., DeliveryEngine]]:
    engines: list[DeliveryEngine] = []

    def make(*specs: LaneSpec, **options: Any) -> DeliveryEngine:
        engine = DeliveryEngine(**({"allow": LOOPBACK} | options))
        engine.start()
        engines.append(engine)
        engine.orders.configure({spec.webhook_id: spec for spec in specs})
        return engine

    yield make
    for engine in engines:
        engine.stop()


def now_ms() -> int:
    return int(time.time() * 1000)


def sends(receiver: Receiver, count: int, webhook: str = "w", path: str = "/hook") -> list[Delivery]:
    return [
        delivery(f"{webhook}-{n}", webhook, url=receiver.url(path), created_ms=now_ms()) for n in range(count)
    ]


def test_what_is_handed_over_arrives_and_is_reported(receiver: Receiver, start: Any) -> None:
    engine, disk = start(LaneSpec("w")), Disk()
    submit(engine, disk.port, sends(receiver, 1000))
    assert engine.drain(10)
    assert Counter(each.outcome for each in disk.take()) == {D: 1000}
    assert len({request.message_id for request in receiver.requests}) == 1000
    stats = engine.stats()
    assert stats.lanes["w"].delivered == 1000
    assert 0 <= stats.p50_ms <= stats.p99_ms


def test_threads_that_switch_at_every_turn_lose_nothing_and_count_nothing_twice(
    receiver: Receiver, start: Any
) -> None:
    engine = start(LaneSpec("a"), LaneSpec("b"))
    disks = [Disk(shard) for shard in range(4)]
    taken: list[Result] = []
    interval = sys.getswitchinterval()
    sys.setswitchinterval(5e-5)
    try:
        for number in range(60):
            for shard, disk in enumerate(disks):
                made = [
                    delivery(f"{number}-{shard}-{n}", "ab"[n % 2], url=receiver.url(), created_ms=now_ms())
                    for n in range(20)
                ]
                submit(engine, disk.port, made)
                if number % 3 == 0:
                    taken += disk.take()
                engine.busy()
                engine.accepts("a")
                engine.stats()
        assert engine.drain(20)
    finally:
        sys.setswitchinterval(interval)
    for disk in disks:
        taken += disk.take()
    sent = Counter(request.message_id for request in receiver.requests)
    assert len(sent) == 60 * 4 * 20
    assert set(sent.values()) == {1}
    assert Counter(each.delivery.request.message_id for each in taken) == sent
    assert sum(len(disk.journal.written) for disk in disks) == len(sent)


def test_workers_in_several_threads_may_hand_over(receiver: Receiver, start: Any) -> None:
    engine = start(LaneSpec("w"))
    disks = [Disk(shard) for shard in range(4)]

    def work(shard: int) -> None:
        for n in range(50):
            made = [delivery(f"{shard}-{n}-{i}", url=receiver.url(), created_ms=now_ms()) for i in range(10)]
            submit(engine, disks[shard].port, made)

    threads = [threading.Thread(target=work, args=(shard,)) for shard in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert engine.drain(20)
    assert [len(disk.take()) for disk in disks] == [500] * 4


def test_every_request_has_its_headers(receiver: Receiver, start: Any) -> None:
    signed = ReceiverSettings(signature=StandardSignature([SECRET]))
    engine, disk = start(LaneSpec("w", receiver=signed), LaneSpec("form", encoding="form")), Disk()
    receiver.answer({"*": [503, 200]})
    retry = RetrySettings(min_delay_secs=0.01)
    engine.orders.configure({"w": LaneSpec("w", receiver=signed, delivery=DeliverySettings(retry=retry))})
    submit(engine, disk.port, sends(receiver, 1))
    wait_for(lambda: len(receiver.requests) == 2)
    first, second = (request.headers for request in receiver.requests)
    for headers, attempt in ((first, "1"), (second, "2")):
        assert headers["webhook-id"] == "msg_w-0"
        assert headers["webhook-attempt"] == attempt
        assert abs(int(headers["webhook-timestamp"]) - time.time()) < 5
        assert headers["content-type"] == "application/json"
        assert headers["user-agent"].startswith("hookline/")
        assert "webhook-replay" not in headers
    for request in receiver.requests:
        assert check_request(request.headers, request.body, [SECRET], time.time()) is None
    replay = delivery("r", "form", url=receiver.url(), replay=True, created_ms=now_ms(), body=b"a=1")
    submit(engine, disk.port, [replay])
    wait_for(lambda: len(receiver.requests) == 3)
    last = receiver.requests[2].headers
    assert last["webhook-replay"] == "true"
    assert last["content-type"] == "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("auth", "name", "value"),
    [
        (BasicAuth("ann", "${PASS}"), "authorization", "Basic YW5uOnMzY3IzdC1wYXNz"),
        (BearerAuth("${PASS}"), "authorization", "Bearer s3cr3t-pass"),
        (HeaderAuth("X-Api-Key", "key ${PASS}"), "x-api-key", "key s3cr3t-pass"),
    ],
)
def test_credentials_are_put_in_when_sending(
    receiver: Receiver, start: Any, auth: Any, name: str, value: str
) -> None:
    spec = LaneSpec("w", receiver=ReceiverSettings(auth=auth))
    engine, disk = start(spec, secrets=Secrets({"PASS": "s3cr3t-pass"})), Disk()
    submit(engine, disk.port, sends(receiver, 1))
    assert engine.drain(5)
    assert receiver.requests[0].headers[name] == value


def test_a_plain_hmac_goes_into_its_header(receiver: Receiver, start: Any) -> None:
    signature = HmacSignature("X-Hub-Signature-256", "${PASS}", prefix="sha256=")
    spec = LaneSpec("w", receiver=ReceiverSettings(signature=signature))
    engine, disk = start(spec, secrets=Secrets({"PASS": "It's a Secret to Everybody"})), Disk()
    submit(engine, disk.port, [delivery(1, url=receiver.url(), body=b"Hello, World!", created_ms=now_ms())])
    assert engine.drain(5)
    assert receiver.requests[0].headers["x-hub-signature-256"] == (
        "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    )


def test_secrets_reach_the_receiver_and_nothing_else(
    receiver: Receiver, start: Any, caplog: pytest.LogCaptureFixture
) -> None:
    canaries = {name: f"canary-{name.lower()}-7f3a" for name in ("URL", "QUERY", "HEAD", "BODY", "AUTH")}
    spec = LaneSpec(
        "w",
        has_secrets=True,
        receiver=ReceiverSettings(auth=BearerAuth("${AUTH}")),
        delivery=DeliverySettings(retry=RetrySettings(min_delay_secs=0.01, max_attempts=2)),
    )
    engine, disk = start(spec, secrets=Secrets(canaries)), Disk()
    given = delivery(
        1,
        url=receiver.url("/\x01URL\x02/x?key=\x01QUERY\x02"),
        headers=(("x-key", "k \x01HEAD\x02"),),
        body=b'{"token":"\x01BODY\x02"}',
        created_ms=now_ms(),
    )
    echo = "you sent " + " ".join(canaries.values())
    receiver.answer({"*": [{"status": 500, "body": echo}, {"status": 400, "body": echo}]})
    submit(engine, disk.port, [given])
    assert engine.drain(5)
    request = receiver.requests[0]
    assert request.path == "/canary-url-7f3a/x"
    assert request.query == "key=canary-query-7f3a"
    assert request.headers["x-key"] == "k canary-head-7f3a"
    assert request.headers["authorization"] == "Bearer canary-auth-7f3a"
    assert request.body == b'{"token":"canary-body-7f3a"}'
    results = disk.take()
    assert [each.outcome for each in results] == [R, X]
    shown = repr(results) + repr(engine.stats()) + caplog.text + metrics.render_prometheus()
    assert "canary" not in shown
    assert "${AUTH}" in results[1].delivery.progress.excerpt


def test_a_sick_receiver_does_not_slow_the_others_down(receiver: Receiver, start: Any) -> None:
    receiver.answer(
        {
            "/hang": ["hang"],
            "/slow": [{"status": 200, "delay_secs": 2}],
            "/bad": [500],
            "/reset": ["reset"],
            "*": [200],
        }
    )
    names = ["hang", "slow", "bad", "reset"]
    engine, disk = start(*(LaneSpec(name) for name in [*names, "well"])), Disk()
    for name in names:
        submit(engine, disk.port, sends(receiver, 300, name, f"/{name}"))
    for _ in range(10):
        submit(engine, disk.port, [
            delivery(f"well-{time.monotonic_ns()}", "well", url=receiver.url("/well"), created_ms=now_ms())
            for _ in range(100)
        ])  # fmt: skip
    wait_for(lambda: lane(engine, "well").delivered == 1000, secs=5)
    wait_for(lambda: not engine.busy(), secs=2)
    assert lane(engine, "hang").in_flight > 0
    assert lane(engine, "well").p99_ms < 2000
    assert lane(engine, "hang").delivered == 0


def test_draining_returns_at_once_where_nothing_can_complete_in_time(receiver: Receiver, start: Any) -> None:
    receiver.answer({"*": [500]})
    spec = LaneSpec("w", delivery=DeliverySettings(retry=RetrySettings(min_delay_secs=3600)))
    engine, disk = start(spec), Disk()
    submit(engine, disk.port, sends(receiver, 3))
    begin = time.monotonic()
    assert not engine.drain(20)
    assert time.monotonic() - begin < 5
    assert Counter(each.outcome for each in disk.take()) == {R: 3}


def test_draining_waits_for_what_is_in_flight_but_not_beyond_its_deadline(
    receiver: Receiver, start: Any
) -> None:
    receiver.answer({"/slow": [{"status": 200, "delay_secs": 0.3}], "/hang": ["hang"]})
    engine, disk = start(LaneSpec("w")), Disk()
    submit(engine, disk.port, sends(receiver, 3, path="/slow"))
    assert engine.drain(5)
    assert len(disk.take()) == 3
    submit(engine, disk.port, [delivery("h", url=receiver.url("/hang"), created_ms=now_ms())])
    begin = time.monotonic()
    assert not engine.drain(0.3)
    assert 0.25 < time.monotonic() - begin < 3


def test_stopping_ends_what_is_in_flight_without_a_result(receiver: Receiver, start: Any) -> None:
    receiver.answer({"*": ["hang"]})
    engine, disk = start(LaneSpec("w")), Disk()
    submit(engine, disk.port, sends(receiver, 5))
    wait_for(lambda: len(receiver.requests) == 5)
    engine.stop()
    assert disk.take() == []
    assert disk.journal.written == []
    wait_for(lambda: not receiver.connections)
    engine.stop()


def test_rows_on_disk_are_brought_in_and_sent(receiver: Receiver, start: Any) -> None:
    engine, disk = start(LaneSpec("w")), Disk()
    disk.add(*sends(receiver, 2500))
    engine.on_disk(disk.port, "w", 2500)
    wait_for(lambda: lane(engine, "w").delivered == 2500)
    disk.commit(disk.take())
    assert disk.rows == {}
    assert engine.drain(5)


def test_memory_has_a_limit_per_lane(receiver: Receiver, start: Any) -> None:
    receiver.answer({"*": ["hang"]})
    engine, disk = start(LaneSpec("w"), LaneSpec("other")), Disk()
    assert engine.accepts("w")
    assert engine.accepts("never heard of")
    submit(engine, disk.port, sends(receiver, 1000))
    wait_for(lambda: not engine.accepts("w"))
    assert engine.accepts("other")
    big = [
        delivery(f"b{n}", "other", url=receiver.url(), body=bytes(9 << 20), created_ms=now_ms())
        for n in range(4)
    ]
    submit(engine, disk.port, big)
    wait_for(lambda: not engine.accepts("other"))


def test_a_failed_journal_stops_the_job(receiver: Receiver, start: Any) -> None:
    class Full(Journal):
        def append(self, results: list[Result], now_ms: int) -> None:
            raise OSError(28, "No space left on device")

    engine = start(LaneSpec("w"))
    port = Port(0, Full(), lambda webhook, cursor, limit: ([], None))
    submit(engine, port, sends(receiver, 1))

    def failed() -> bool:
        try:
            engine.busy()
        except Fatal as error:
            return "No space left" in str(error)
        return False

    wait_for(failed)
    with pytest.raises(Fatal):
        submit(engine, port, [])
    with pytest.raises(Fatal):
        engine.drain(5)


def test_a_webhook_that_answers_410_is_disabled_and_can_be_enabled(receiver: Receiver, start: Any) -> None:
    gone: list[tuple[str, str]] = []
    engine = start(LaneSpec("w", definition="v1"), on_gone=lambda *what: gone.append(what))
    disk = Disk()
    receiver.answer({"*": [410]})
    submit(engine, disk.port, sends(receiver, 1))
    wait_for(lambda: gone == [("w", "v1")])
    assert lane(engine, "w").state == "gone"
    receiver.answer({"*": [200]})
    engine.orders.enable("w")
    wait_for(lambda: lane(engine, "w").delivered == 1)


def test_pausing_and_disabling_hold_deliveries_back(receiver: Receiver, start: Any) -> None:
    engine, disk = start(LaneSpec("w")), Disk()
    engine.orders.pause("w")
    submit(engine, disk.port, sends(receiver, 3))
    assert not engine.drain(1)
    assert lane(engine, "w").state == "paused"
    assert receiver.requests == []
    engine.orders.resume("w")
    wait_for(lambda: len(receiver.requests) == 3)
    engine.orders.disable("w")
    engine.orders.resume("w")
    wait_for(lambda: lane(engine, "w").state == "disabled")


def test_oauth2_tokens_are_fetched_once_and_renewed_when_refused(receiver: Receiver, start: Any) -> None:
    tokens = [{"status": 200, "body": f'{{"access_token": "t{n}", "expires_in": 3600}}'} for n in (1, 2)]
    receiver.answer({"/token": tokens, "/hook": [200, 200, 401, 200]})
    auth = OAuth2Auth(receiver.url("/token"), "id", "${PASS}", scope="hooks")
    spec = LaneSpec("w", receiver=ReceiverSettings(auth=auth), delivery=DeliverySettings(concurrency=1))
    engine, disk = start(spec, secrets=Secrets({"PASS": "s3cr3t/pass"})), Disk()
    submit(engine, disk.port, sends(receiver, 4))
    wait_for(lambda: lane(engine, "w").delivered == 4)
    asked = [request for request in receiver.requests if request.path == "/token"]
    assert [request.body for request in asked] == [b"grant_type=client_credentials&scope=hooks"] * 2
    assert asked[0].headers["authorization"] == "Basic aWQ6czNjcjN0JTJGcGFzcw=="
    used = [request.headers["authorization"] for request in receiver.requests if request.path == "/hook"]
    assert used == ["Bearer t1", "Bearer t1", "Bearer t1", "Bearer t2", "Bearer t2"]
    assert Counter(each.outcome for each in disk.take()) == {D: 4}


@pytest.mark.parametrize("authority", ["of the receiver", "of the system", "unknown"])
def test_a_token_endpoint_is_trusted_by_the_authority_of_its_receiver_and_by_the_systems(
    receiver: Receiver, start: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, authority: str
) -> None:
    own, system = (tmp_path / name for name in ("own", "system"))
    for folder in (own, system):
        folder.mkdir()
    issuers = {"of the receiver": Certificates.make(own), "of the system": Certificates.make(system)}
    monkeypatch.setenv("SSL_CERT_FILE", str(issuers["of the system"].ca))
    issuer = issuers.get(authority) or Certificates.make(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*issuer.issue("tokens"))
    token = {"status": 200, "body": '{"access_token": "t1"}'}
    with Receiver({"/token": token}, tls=context) as tokens:
        auth = OAuth2Auth(tokens.url("/token"), "id", "secret")
        settings = ReceiverSettings(auth=auth, ca=str(issuers["of the receiver"].ca))
        engine, disk = start(LaneSpec("w", receiver=settings)), Disk()
        submit(engine, disk.port, sends(receiver, 1))
        if authority == "unknown":
            wait_for(lambda: "certificate verify failed" in lane(engine, "w").error)
            assert receiver.requests == []
        else:
            wait_for(lambda: lane(engine, "w").delivered == 1)
        engine.stop()


def test_a_token_endpoint_is_guarded_and_its_failure_holds_the_lane(receiver: Receiver, start: Any) -> None:
    auth = OAuth2Auth("http://169.254.169.254/token", "id", "s3cr3t-id")
    engine, disk = start(LaneSpec("w", receiver=ReceiverSettings(auth=auth))), Disk()
    submit(engine, disk.port, sends(receiver, 1))
    wait_for(lambda: "169.254.169.254" in lane(engine, "w").error)
    assert "s3cr3t" not in lane(engine, "w").error
    assert receiver.requests == []
    assert lane(engine, "w").dead == 0


def test_a_guarded_receiver_is_a_dead_letter(receiver: Receiver, start: Any) -> None:
    engine, disk = start(LaneSpec("w"), allow=()), Disk()
    submit(engine, disk.port, sends(receiver, 1))
    assert engine.drain(5)
    (result,) = disk.take()
    assert (result.outcome, result.reason) == (X, "guard-refused")
    assert "loopback" in result.delivery.progress.excerpt
    assert receiver.requests == []


def test_the_aiohttp_client_serves_a_lane_that_asks_for_it(receiver: Receiver, start: Any) -> None:
    receiver.answer({"*": [200, 503, 200]})
    retry = RetrySettings(min_delay_secs=0.01)
    spec = LaneSpec("w", delivery=DeliverySettings(client="aiohttp", concurrency=1, retry=retry))
    engine, disk = start(spec), Disk()
    submit(engine, disk.port, sends(receiver, 20))
    wait_for(lambda: lane(engine, "w").delivered == 20)
    assert Counter(each.outcome for each in disk.take()) == {D: 20, R: 1}


def test_a_proxy_is_what_is_dialled_and_guarded(receiver: Receiver, start: Any) -> None:
    settings = DeliverySettings(client="aiohttp", proxy=receiver.url(), timeout_secs=5.0)
    engine, disk = start(LaneSpec("w", delivery=settings)), Disk()
    submit(engine, disk.port, [
        delivery(1, url="http://receiver.example/hook", created_ms=now_ms()),
        delivery(2, url="http://169.254.169.254/hook", created_ms=now_ms()),
    ])  # fmt: skip
    wait_for(lambda: len(disk.journal.written) == 2)
    results = {each.delivery.request.message_id: each for each in disk.take()}
    assert results["msg_1"].outcome is D
    assert (results["msg_2"].outcome, results["msg_2"].reason) == (X, "guard-refused")
    assert [request.path for request in receiver.requests] == ["http://receiver.example/hook"]


def test_counts_reach_the_metrics(receiver: Receiver, start: Any) -> None:
    before = metrics.read("attempts_total", webhook="metered", outcome="200")
    engine, disk = start(LaneSpec("metered")), Disk()
    submit(engine, disk.port, sends(receiver, 50, "metered"))
    assert engine.drain(5)
    engine.stop()
    assert metrics.read("attempts_total", webhook="metered", outcome="200") == before + 50


def test_a_recording_receiver_has_the_same_requests_on_disk(tmp_path: Path, start: Any) -> None:
    with Receiver(record=tmp_path / "requests.jsonl") as receiver:
        engine, disk = start(LaneSpec("w")), Disk()
        submit(engine, disk.port, sends(receiver, 100))
        assert engine.drain(5)
        assert [row["id"] for row in read_records(tmp_path / "requests.jsonl")] == [
            request.message_id for request in receiver.requests
        ]


def test_a_drain_that_is_past_its_deadline_does_not_spin(receiver: Receiver, start: Any) -> None:
    receiver.answer({"*": ["hang"]})
    engine, disk = start(LaneSpec("w")), Disk()
    submit(engine, disk.port, sends(receiver, 3))
    wait_for(lambda: len(receiver.requests) == 3)
    engine.begin_drain(0.05)
    wait_for(engine.is_drained)
    turns = 0
    core = engine._core
    turn = core.turn

    def counted() -> None:
        nonlocal turns
        turns += 1
        turn()

    core.turn = counted
    wait_for(lambda: turns >= 3)  # the tick, ten times a second
    begin = time.monotonic()
    before = turns
    wait_for(lambda: time.monotonic() - begin > 0.3)
    assert turns - before < 20
