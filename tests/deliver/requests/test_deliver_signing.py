"""Signatures against the published vectors and the reference packages."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
import standardwebhooks
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from pipeline.deliver.requests.signing import HmacSigner, SecretError, StandardSigner, hmac_key
from pipeline.receiver.verify import check_request, is_signed
from tests.kit.streams.samples import shared_data

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_" + base64.b64encode(b"another secret of thirty-two byt").decode()


def vectors() -> list[dict[str, Any]]:
    return json.loads((shared_data() / "signatures" / "published.json").read_text())


def signature(line: bytes) -> str:
    name, _, value = line.decode().removesuffix("\r\n").partition(": ")
    assert name
    return value


def test_every_published_vector_comes_out() -> None:
    seen = set()
    for row in vectors():
        scheme = row["scheme"].split(" ")[0]
        seen.add(scheme)
        body = row.get("body", '{"test": 2432232314}').encode()
        if scheme == "standard-webhooks":
            line = StandardSigner([row["secret"]]).lines(
                row["webhook-id"].encode(), row.get("webhook-timestamp", "1614265330").encode(), body
            )
            assert (signature(line) == row["webhook-signature"]) is not row.get("must_fail", False)
        elif scheme == "standard-webhooks-v1a":
            line = StandardSigner(["whsk_" + row["private_key_b64"]]).lines(
                row["webhook-id"].encode(), row["webhook-timestamp"].encode(), body
            )
            assert signature(line) == row["webhook-signature"]
        elif scheme == "github":
            signer = HmacSigner("X-Hub-Signature-256", row["secret"].encode(), "sha256", "sha256=", "hex")
            assert signature(signer.lines(b"", b"", body)) == row["X-Hub-Signature-256"]
        elif scheme == "slack":
            signer = HmacSigner(
                "X-Slack-Signature",
                row["secret"].encode(),
                "sha256",
                "v0=",
                "hex",
                signed="v0:{timestamp}:{body}",
                timestamp_header="X-Slack-Request-Timestamp",
            )
            sent = signer.lines(b"", row["X-Slack-Request-Timestamp"].encode(), body).decode().splitlines()
            assert sent == [
                f"{name}: {row[name]}" for name in ("X-Slack-Request-Timestamp", "X-Slack-Signature")
            ]
        else:
            raise AssertionError(f"a vector of an unknown scheme: {scheme}")
    assert seen == {"standard-webhooks", "standard-webhooks-v1a", "github", "slack"}


@given(
    body=st.dictionaries(st.text(max_size=10), st.text(max_size=50)).map(lambda value: json.dumps(value)),
    message_id=st.from_regex(r"msg_[0-9a-f]{32}", fullmatch=True),
)
def test_the_reference_packages_accept_it(body: str, message_id: str) -> None:
    import svix  # here: it takes a second, and every worker would wait for it

    now = str(int(datetime.now(UTC).timestamp()))
    line = StandardSigner([SECRET, OTHER]).lines(message_id.encode(), now.encode(), body.encode())
    headers = {"webhook-id": message_id, "webhook-timestamp": now, "webhook-signature": signature(line)}
    for secret in (SECRET, OTHER):
        standardwebhooks.Webhook(secret).verify(body, headers)
        svix.Webhook(secret).verify(body, headers)
    with pytest.raises(svix.WebhookVerificationError):
        svix.Webhook(SECRET).verify(body + " ", headers)


def test_rotation_signs_with_every_secret() -> None:
    private = Ed25519PrivateKey.generate()
    secret = "whsk_" + base64.b64encode(private.private_bytes_raw()).decode()
    public = "whpk_" + base64.b64encode(private.public_key().public_bytes_raw()).decode()
    line = StandardSigner([SECRET, secret, OTHER]).lines(b"msg_1", b"1", b"{}")
    assert line.count(b"\n") == 1  # at its end
    given_signatures = signature(line)
    assert [each.split(",")[0] for each in given_signatures.split(" ")] == ["v1", "v1", "v1a"]
    for each in (SECRET, OTHER, public):
        assert is_signed([each], "msg_1", "1", b"{}", given_signatures)
        assert not is_signed([each], "msg_2", "1", b"{}", given_signatures)
        assert not is_signed([each], "msg_1", "1", b"{ }", given_signatures)


def test_the_receiver_says_what_is_wrong() -> None:
    good = {
        "webhook-id": "msg_1",
        "webhook-timestamp": "1000",
        "webhook-signature": signature(StandardSigner([SECRET]).lines(b"msg_1", b"1000", b"{}")),
    }
    assert check_request(good, b"{}", [SECRET], 1100.0) is None
    assert check_request(good, b"{}", [OTHER, SECRET], 1100.0) is None
    assert "matches" in str(check_request(good, b"{}", [OTHER], 1100.0))
    assert "within" in str(check_request(good, b"{}", [SECRET], 2000.0))
    assert "webhook-id" in str(check_request(good | {"webhook-id": ""}, b"{}", [SECRET], 1100.0))
    assert "webhook-signature" in str(check_request(good | {"webhook-signature": ""}, b"{}", [SECRET], 1.0))
    assert "matches" in str(
        check_request(good | {"webhook-signature": "v1,@@ v9 x"}, b"{}", [SECRET], 1000.0)
    )


@pytest.mark.parametrize(
    ("algorithm", "encoding", "length"),
    [("sha1", "hex", 40), ("sha256", "base64", 44), ("sha512", "hex", 128)],
)
def test_plain_hmac_in_every_form_is_what_the_standard_library_says(
    algorithm: str, encoding: str, length: int
) -> None:
    import hmac

    for secret in ("short", "x" * 64, "long" * 100, "ünïcode"):
        signer = HmacSigner("x-signature", secret.encode(), algorithm, "", encoding)
        raw = hmac.digest(secret.encode(), b"body", algorithm)
        wanted = raw.hex() if encoding == "hex" else base64.b64encode(raw).decode()
        for _ in range(2):  # the prepared objects are not used up
            assert signature(signer.lines(b"", b"", b"body")) == wanted
        assert len(wanted) == length


@pytest.mark.parametrize(
    ("encoding", "secret"),
    [("text", "secret"), ("base64", "c2VjcmV0"), ("base64", "whsec_c2VjcmV0"), ("hex", "736563726574")],
)
def test_a_key_is_written_as_text_or_as_its_bytes(encoding: str, secret: str) -> None:
    assert hmac_key(secret, encoding) == b"secret"


def test_a_time_and_an_id_are_signed_and_shown_as_the_receiver_wants_them() -> None:
    import hmac

    signer = HmacSigner(
        "X-Signature", b"s", "sha256", "t={timestamp},i={id},v1=", "hex", signed="{timestamp}.{body}.{id}"
    )
    for stamp in (b"1700000000", b"1700000001"):
        # What stands in a body is never filled.
        raw = hmac.digest(b"s", stamp + b".{timestamp}{id}.m_1", "sha256").hex()
        line = signer.lines(b"m_1", stamp, b"{timestamp}{id}")
        assert line == b"X-Signature: t=%b,i=m_1,v1=%b\r\n" % (stamp, raw.encode())


@pytest.mark.parametrize("secret", ["whsec_not base64!", "whsec_AAAA!BBBB", "whsk_AAAA", "whsk_%%%"])
def test_a_bad_secret_is_refused_without_being_shown(secret: str) -> None:
    with pytest.raises(SecretError) as caught:
        StandardSigner([secret]).lines(b"", b"", b"")
    assert secret.partition("_")[2] not in str(caught.value)


def test_no_secret_is_an_error() -> None:
    with pytest.raises(SecretError):
        StandardSigner([])
