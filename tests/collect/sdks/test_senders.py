"""Third parties' webhooks, signed by their own libraries: taken as they are signed, and not otherwise."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import standardwebhooks

from tests.collect.sdks.clients import program
from tests.kit.collector import Collector

NEW, OLD, WRONG = "whsec_bmV3LXNlY3JldC1uZXctc2VjcmV0", "whsec_b2xkLXNlY3JldC1vbGQtc2VjcmV0", "whsec_d3Jvbmc="
TEXT = '{"id": "evt_1", "type": "charge.succeeded", "data": {"object": {"customer": "cus_Zoë"}}}'
WAYS = {
    "stripe": "stripe",
    "github": "github",
    "shopify": "shopify",
    "standard": "standard_webhooks",
    "svix": "standard_webhooks",
}


def signed(by: str, secret: str, at: int) -> dict[str, str]:
    """Return the headers with which a party sends TEXT; Node's libraries sign in `libraries`."""
    when = datetime.fromtimestamp(at, UTC)
    if by == "shopify":
        # Shopify has no library that signs; its formula is documented.
        mac = hmac.new(secret.encode(), TEXT.encode(), hashlib.sha256).digest()
        return {
            "X-Shopify-Hmac-Sha256": base64.b64encode(mac).decode(),
            "X-Shopify-Topic": "orders/create",
            "X-Shopify-Webhook-Id": f"w-{by}",
        }
    if by == "standard":
        signature = standardwebhooks.Webhook(secret).sign("msg_1", when, TEXT)
        return {"webhook-id": "msg_1", "webhook-timestamp": str(at), "webhook-signature": signature}
    import svix  # here: it takes a second, and every worker would wait for it

    signature = svix.Webhook(secret).sign("msg_2", when, TEXT)
    return {"svix-id": "msg_2", "svix-timestamp": str(at), "svix-signature": signature}


def libraries(secrets: list[str], now: int, then: int) -> dict[tuple[str, str, int], dict[str, str]]:
    """Return the headers of every party, secret and time, in one run of Node."""
    asked = [
        {"by": by, "secret": secret, "text": TEXT, "at": at}
        for by in ("stripe", "github")
        for secret in secrets
        for at in (now, then)
    ]
    said: list[str] = program("node", "sign", json.dumps(asked))
    found: dict[tuple[str, str, int], dict[str, str]] = {}
    for one, signature in zip(asked, said, strict=True):
        by, secret, at = str(one["by"]), str(one["secret"]), int(str(one["at"]))
        found[by, secret, at] = (
            {"Stripe-Signature": signature}
            if by == "stripe"
            else {"X-Hub-Signature-256": signature, "X-GitHub-Event": "push", "X-GitHub-Delivery": "d-1"}
        )
    for by in ("shopify", "standard", "svix"):
        for secret in secrets:
            for at in (now, then):
                found[by, secret, at] = signed(by, secret, at)
    return found


def test_a_webhook_is_taken_as_its_partys_own_library_signs_it_and_not_otherwise(
    tmp_path: Path,
):
    now = int(time.time())
    headers = libraries([NEW, OLD, WRONG], now, now - 400)
    hooks = "".join(
        f"\n    {by}: {{verify: {{{way}: [{NEW}, {OLD}]}}, format: cloudevents}}" for by, way in WAYS.items()
    )
    with Collector(tmp_path, more=f"  hooks:{hooks}\n  dedupe: 0s") as collector:

        def post(by: str, secret: str, at: int = now, text: str = TEXT) -> int:
            return collector.ask("POST", f"/hooks/{by}", text.encode(), headers[by, secret, at])[0]

        for by in WAYS:
            assert (by, post(by, WRONG)) == (by, 401)
            assert (by, post(by, NEW, text=TEXT.replace("cus", "cuS"))) == (by, 401)
            if by in ("stripe", "standard", "svix"):
                assert (by, post(by, NEW, at=now - 400)) == (by, 401)
        assert collector.lines() == []
        for by in WAYS:
            assert (by, post(by, NEW), post(by, OLD)) == (by, 200, 200)
        raw = collector.raw_lines()
        assert len(raw) == 2 * len(WAYS)
        assert all(f'"value":{TEXT}}}'.encode() in line for line in raw)
        kept: list[dict[str, Any]] = [dict(line["headers"]) for line in collector.lines()]
        assert [one["hk-key"] for one in kept] == [by for by in WAYS for _ in range(2)]
        names = {name for one in kept for name in one}
        assert {"x-github-event", "x-shopify-topic", "webhook-id"} <= names
        assert not any("signature" in name or "hmac" in name for name in names)
        said = collector.said + (tmp_path / "collected").joinpath(".collect.json").read_text()
        assert not any(secret.removeprefix("whsec_") in said for secret in (NEW, OLD, WRONG))
