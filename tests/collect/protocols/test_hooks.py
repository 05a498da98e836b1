"""Third parties' webhooks: taken when their signature holds, kept as they came, and nothing else is."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from urllib.parse import urlencode

import pytest
from standardwebhooks import Webhook

from pipeline.collect.protocols.hooks.hooks import Hook
from pipeline.collect.protocols.protocol import Malformed, Settings
from pipeline.collect.protocols.table import Table
from pipeline.collect.request import Request
from pipeline.model.errors import ConfigError
from tests.collect.protocols.asking import NOW, answer_of, asked, cut, headers_of

STANDARD = ["whsec_bmV3IG5ldyBuZXcgbmV3IG5ldyE=", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]
SECRETS = {
    "stripe": ["whsec_new", "whsec_old"],
    "github": ["new", "It's a Secret to Everybody"],
    "shopify": ["shpss_new", "shpss_old"],
    "standard_webhooks": STANDARD,
}
TABLE = Table(
    Settings(), hooks={way: Hook(way, secrets, f"{way}-events") for way, secrets in SECRETS.items()}
)
BODY = b'{"id": "evt_1", "type":"charge.succeeded", "data":{"object":{"customer":"u1","amount":1.50}}}'
SECS = NOW // 1000


def digest(secret: str, signed: bytes) -> bytes:
    return hmac.new(secret.encode(), signed, hashlib.sha256).digest()


def signed(way: str, secret: str, body: bytes = BODY, at: int = SECS) -> dict[str, str]:
    """Return the headers with which a party sends the body."""
    if way == "stripe":
        mac = digest(secret, b"%d." % at + body).hex()
        return {"stripe-signature": f"t={at},v1={'0' * 64},v1={mac},v0=x", "stripe-account": "acct_1"}
    if way == "github":
        mac = "sha256=" + digest(secret, body).hex()
        return {"x-hub-signature-256": mac, "x-github-event": "push", "x-github-delivery": "d1"}
    if way == "shopify":
        mac = base64.b64encode(digest(secret, body)).decode()
        return {
            "x-shopify-hmac-sha256": mac,
            "x-shopify-topic": "orders/create",
            "x-shopify-webhook-id": "w1",
        }
    mac = Webhook(secret).sign("msg_1", datetime.fromtimestamp(at, UTC), body.decode())
    return {"webhook-id": "msg_1", "webhook-timestamp": str(at), "webhook-signature": f"v1,AAAA {mac}"}


def sent(way: str, headers: dict[str, str], body: bytes = BODY) -> Request:
    return asked("POST", f"/hooks/{way}", body, headers)


WAYS = [(way, secret) for way, secrets in SECRETS.items() for secret in secrets]


@pytest.mark.parametrize(("way", "secret"), WAYS)
def test_a_signed_webhook_is_kept_as_it_came(way: str, secret: str) -> None:
    request = sent(way, {**signed(way, secret), "user-agent": "x", "authorization": "Bearer y"})
    found = cut(request, TABLE)
    assert (found.hook, found.credential) == (way, None)
    (member,) = found.batch(way, request).members
    assert member.value == BODY
    assert member.same is not None
    headers = headers_of(member)
    assert headers.pop("hk-format") == f"{way}-events"
    assert headers.pop("hk-protocol") == "hooks"
    assert headers.pop("hk-key") == way
    assert (
        headers
        == {
            "stripe": {"stripe-account": "acct_1"},
            "github": {"x-github-event": "push", "x-github-delivery": "d1"},
            "shopify": {"x-shopify-topic": "orders/create", "x-shopify-webhook-id": "w1"},
            "standard_webhooks": {"webhook-id": "msg_1", "webhook-timestamp": str(SECS)},
        }[way]
    )
    answer = answer_of(request, TABLE)
    assert (answer.status, answer.body) == (200, b"")


@pytest.mark.parametrize(("way", "secret"), WAYS)
def test_what_is_not_signed_so_is_refused(way: str, secret: str) -> None:
    headers = signed(way, secret)
    broken: list[tuple[dict[str, str], bytes]] = [
        (headers, BODY.replace(b"1.50", b"1.51")),
        (headers, BODY + b" "),
        (headers, b""),
        (signed(way, "whsec_b3RoZXI="), BODY),
        ({}, BODY),
    ]
    broken += [({**headers, name: ""}, BODY) for name in headers if "signature" in name or "hmac" in name]
    broken += [({**headers, name: "é,v1=é v1,é"}, BODY) for name in headers if "signature" in name]
    if way in ("stripe", "standard_webhooks"):
        broken += [(signed(way, secret, at=SECS - 301), BODY), (signed(way, secret, at=SECS + 301), BODY)]
        broken += [({**headers, "webhook-timestamp": "1e9", "stripe-signature": "t=,v1="}, BODY)]
    for given, body in broken:
        answer = answer_of(sent(way, given, body), TABLE)
        assert answer.status == 401
        assert not any(one.encode() in answer.body for one in SECRETS[way])


def test_the_signature_is_of_the_bytes_as_they_came() -> None:
    packed = b"\x1f\x8bpacked"
    request = Request("POST", "/hooks/github", {}, signed("github", "new", packed), BODY, NOW, packed)
    assert cut(request, TABLE).pieces[0].value == BODY


def test_github_signs_as_its_documents_say() -> None:
    documented = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    found = cut(sent("github", {"x-hub-signature-256": documented}, b"Hello, World!"), TABLE)
    # No JSON: what came is recorded, and dead-lettered by the job with its reason.
    assert found.pieces[0].value == b"Hello, World!"


def test_a_form_of_github_is_the_json_inside() -> None:
    body = urlencode({"payload": BODY.decode()}).encode()
    assert cut(sent("github", signed("github", "new", body), body), TABLE).pieces[0].value == BODY


def test_a_webhook_that_svix_sends_has_its_own_names() -> None:
    headers = {name.replace("webhook", "svix"): value for name, value in signed(*WAYS[-1]).items()}
    found = cut(sent("standard_webhooks", headers), TABLE)
    assert found.pieces[0].same == "msg_1"


@pytest.mark.parametrize(("way", "secret"), WAYS)
def test_what_is_sent_again_is_a_repeat_whatever_unsigned_name_stands_beside_it(
    way: str, secret: str
) -> None:
    names = ("svix-id", "webhook-id", "x-github-delivery", "x-shopify-webhook-id", "idempotency-key", "id")
    headers = signed(way, secret)
    first = cut(sent(way, headers), TABLE).pieces[0].same
    for name in names:
        again = cut(sent(way, {name: "forged", **headers}), TABLE)
        assert again.pieces[0].same == first, name


@pytest.mark.parametrize("blank", ["\xa0", "\x85", "\u3000", " \t"])
def test_a_repeat_is_told_by_the_header_that_was_signed(blank: str) -> None:
    headers = {name.replace("webhook", "svix"): value for name, value in signed(*WAYS[-1]).items()}
    again = sent("standard_webhooks", {"webhook-id": blank, **headers})
    # Either it is no header at all, or it is what should have been signed.
    if blank.strip(" \t"):
        assert answer_of(again, TABLE).status == 401
    else:
        assert cut(again, TABLE).pieces[0].same == "msg_1"


def test_an_empty_webhook_is_refused() -> None:
    with pytest.raises(Malformed, match="empty"):
        cut(sent("github", signed("github", "new", b" "), b" "), TABLE)


def test_an_unknown_hook_is_nobodys() -> None:
    assert TABLE.find("POST", "/hooks/other") is None
    assert TABLE.find("GET", "/hooks/github") is None


def test_a_secret_that_is_none_is_said_at_the_start() -> None:
    for secret in ("whsec_", "whsec_!!", ""):
        with pytest.raises(ConfigError, match="base64"):
            Table(Settings(), hooks={"a": Hook("standard_webhooks", [secret], "f")})


def test_a_delivery_that_comes_twice_is_the_same() -> None:
    requests = [sent(way, signed(way, secret)) for way, secret in WAYS]
    same = [cut(request, TABLE).pieces[0].same for request in requests]
    assert same == ["evt_1", "evt_1", "d1", "d1", "w1", "w1", "msg_1", "msg_1"]
    assert json.loads(BODY)["id"] == "evt_1"


def test_a_key_that_is_named_like_a_hook_takes_no_webhook_for_a_repeat() -> None:
    webhook = sent("stripe", signed("stripe", "whsec_new"))
    forged = asked("POST", "/v1/events", {"type": "event", "name": "A", "user_id": "u", "id": "evt_1"})
    told = [cut(request, TABLE).batch("stripe", request).members[0].same for request in (forged, webhook)]
    assert None not in told
    assert told[0] != told[1]
