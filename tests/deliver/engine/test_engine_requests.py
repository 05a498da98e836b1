"""What the engine puts into requests, whom it asks for tokens, and whom it may reach."""

from __future__ import annotations

import hmac
import time
from collections import Counter
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
from pipeline.deliver.requests.spec import LaneSpec
from pipeline.language.secrets import Secrets
from pipeline.receiver.server import Receiver
from pipeline.receiver.verify import check_request
from pipeline.telemetry import metrics
from tests.deliver.engine.engines import SECRET, D, R, X, lane, now_ms, sends
from tests.kit.delivery.rig import Disk, delivery, submit
from tests.kit.programs.run import until
from tests.kit.receivers.certificates import Certificates, server_tls


def test_every_request_has_its_headers(receiver: Receiver, start: Any) -> None:
    signed = ReceiverSettings(signature=StandardSignature([SECRET]))
    engine, disk = start(LaneSpec("w", receiver=signed), LaneSpec("form", encoding="form")), Disk()
    receiver.answer({"*": [503, 200]})
    retry = RetrySettings(min_delay_secs=0.01)
    engine.orders.configure({"w": LaneSpec("w", receiver=signed, delivery=DeliverySettings(retry=retry))})
    submit(engine, disk.port, sends(receiver, 1))
    until(lambda: len(receiver.requests) == 2)
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
    until(lambda: len(receiver.requests) == 3)
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
    signature = HmacSignature("X-Hub-Signature-256", "${PASS}", prefix="${KIND}=")
    spec = LaneSpec("w", receiver=ReceiverSettings(signature=signature))
    secrets = Secrets({"PASS": "It's a Secret to Everybody", "KIND": "sha256"})
    engine, disk = start(spec, secrets=secrets), Disk()
    submit(engine, disk.port, [delivery(1, url=receiver.url(), body=b"Hello, World!", created_ms=now_ms())])
    assert engine.drain(5)
    assert receiver.requests[0].headers["x-hub-signature-256"] == (
        "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    )


@pytest.mark.parametrize("client", ["native", "aiohttp"])
def test_a_signature_with_a_time_is_made_anew_for_each_attempt(
    receiver: Receiver, start: Any, client: Any
) -> None:
    signature = HmacSignature(
        "X-Slack-Signature",
        "${PASS}",
        prefix="v0=",
        signed="v0:{timestamp}:{body}",
        timestamp_header="X-Slack-Time",
    )
    retry = RetrySettings(min_delay_secs=1.1, max_delay_secs=2.2)
    spec = LaneSpec(
        "w",
        receiver=ReceiverSettings(signature=signature),
        delivery=DeliverySettings(client=client, retry=retry),
    )
    engine, disk = start(spec, secrets=Secrets({"PASS": "s3cr3t"})), Disk()
    receiver.answer({"*": [{"status": 500, "headers": {"Retry-After": "2"}}, {"status": 200}]})
    submit(engine, disk.port, [delivery(1, url=receiver.url(), body=b"Hello", created_ms=now_ms())])
    assert engine.drain(9)
    first, second = receiver.requests
    for one in (first, second):
        stamp = one.headers["x-slack-time"]
        wanted = hmac.digest(b"s3cr3t", f"v0:{stamp}:Hello".encode(), "sha256").hex()
        assert one.headers["x-slack-signature"] == f"v0={wanted}"
        assert stamp == one.headers["webhook-timestamp"]
    assert int(second.headers["x-slack-time"]) > int(first.headers["x-slack-time"])


def test_secrets_reach_the_receiver_and_nothing_else(
    receiver: Receiver, start: Any, caplog: pytest.LogCaptureFixture
) -> None:
    canaries = {name: f"canary-{name.lower()}-7f3a" for name in ("URL", "QUERY", "HEAD", "BODY", "AUTH")}
    spec = LaneSpec(
        "w",
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


def test_oauth2_tokens_are_fetched_once_and_renewed_when_refused(receiver: Receiver, start: Any) -> None:
    tokens = [{"status": 200, "body": f'{{"access_token": "t{n}", "expires_in": 3600}}'} for n in (1, 2)]
    receiver.answer({"/token": tokens, "/hook": [200, 200, 401, 200]})
    auth = OAuth2Auth(receiver.url("/token"), "id", "${PASS}", scope="hooks")
    spec = LaneSpec("w", receiver=ReceiverSettings(auth=auth), delivery=DeliverySettings(concurrency=1))
    engine, disk = start(spec, secrets=Secrets({"PASS": "s3cr3t/pass"})), Disk()
    submit(engine, disk.port, sends(receiver, 4))
    until(lambda: lane(engine, "w").delivered == 4)
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
    context = server_tls(*issuer.issue("tokens"))
    token = {"status": 200, "body": '{"access_token": "t1"}'}
    with Receiver({"/token": token}, tls=context) as tokens:
        auth = OAuth2Auth(tokens.url("/token"), "id", "secret")
        settings = ReceiverSettings(auth=auth, ca=str(issuers["of the receiver"].ca))
        engine, disk = start(LaneSpec("w", receiver=settings)), Disk()
        submit(engine, disk.port, sends(receiver, 1))
        if authority == "unknown":
            until(lambda: "certificate is not valid" in lane(engine, "w").error)
            assert receiver.requests == []
        else:
            until(lambda: lane(engine, "w").delivered == 1)
        engine.stop()


def test_a_token_endpoint_is_guarded_and_its_failure_holds_the_lane(receiver: Receiver, start: Any) -> None:
    auth = OAuth2Auth("http://169.254.169.254/token", "id", "s3cr3t-id")
    engine, disk = start(LaneSpec("w", receiver=ReceiverSettings(auth=auth))), Disk()
    submit(engine, disk.port, sends(receiver, 1))
    until(lambda: "169.254.169.254" in lane(engine, "w").error)
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
    until(lambda: lane(engine, "w").delivered == 20)
    assert Counter(each.outcome for each in disk.take()) == {D: 20, R: 1}


def test_a_proxy_is_what_is_dialled_and_guarded(receiver: Receiver, start: Any) -> None:
    settings = DeliverySettings(client="aiohttp", proxy=receiver.url(), timeout_secs=5.0)
    engine, disk = start(LaneSpec("w", delivery=settings)), Disk()
    submit(engine, disk.port, [
        delivery(1, url="http://receiver.example/hook", created_ms=now_ms()),
        delivery(2, url="http://169.254.169.254/hook", created_ms=now_ms()),
    ])  # fmt: skip
    until(lambda: len(disk.journal.written) == 2)
    results = {each.delivery.request.message_id: each for each in disk.take()}
    assert results["msg_1"].outcome is D
    assert (results["msg_2"].outcome, results["msg_2"].reason) == (X, "guard-refused")
    assert [request.path for request in receiver.requests] == ["http://receiver.example/hook"]
