"""CORS: a page may read answers where some key names its origin, and nobody else's page may."""

from __future__ import annotations

import pytest

from tests.collect.rig import Running, post

PAGE = "https://shop.example"
ASKED = "authorization,content-type"


def preflight(running, origin: str, path: str = "/v1/events", names: str | None = ASKED):
    asks = f"Access-Control-Request-Headers: {names}\r\n" if names is not None else ""
    return running.ask(
        f"OPTIONS {path} HTTP/1.1\r\nHost: x\r\nOrigin: {origin}\r\n"
        f"Access-Control-Request-Method: POST\r\n{asks}\r\n".encode()
    )


def cors(reply) -> dict[str, str]:
    return {name: value for name, value in reply.headers.items() if name.startswith("access-control-")}


def test_an_allowed_page_may_send_what_it_asks_for(running):
    reply = preflight(running, PAGE)
    assert reply.status == 204
    assert cors(reply) == {
        "access-control-allow-origin": PAGE,
        "access-control-allow-methods": "GET, POST, OPTIONS",
        "access-control-allow-headers": "authorization,content-type",
        "access-control-allow-credentials": "true",
        "access-control-max-age": "7200",
        "access-control-expose-headers": "Retry-After",
    }
    assert reply.headers["vary"] == "origin"
    assert "access-control-allow-headers" not in cors(preflight(running, PAGE, names=None))


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "http://shop.example",
        "https://shop.example:8443",
        "https://shop.example.evil",
    ],
)
@pytest.mark.parametrize("key", ["wk-page-secret", "sk-server-secret", None])
def test_a_foreign_page_reads_nothing(running, origin, key):
    running.sink.batches.clear()
    assert cors(preflight(running, origin)) == {}
    reply = running.ask(post(b'{"a":1}', f"Origin: {origin}", key=key))
    assert reply.status in (401, 403)
    assert cors(reply) == {}
    assert running.sink.batches == []


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (post(b'{"a":1}', f"Origin: {PAGE}", key="wk-page-secret"), 200),
        (post(b"no json", f"Origin: {PAGE}", key="wk-page-secret"), 400),
        (post(b'{"a":1}', f"Origin: {PAGE}", key="unknown"), 401),
        (post(b'{"a":1}', f"Origin: {PAGE}", key="sk-server-secret"), 403),
        (post(b'{"a":1}', f"Origin: {PAGE}", path="/nowhere"), 404),
        (post(b'{"a":1}', f"Origin: {PAGE}", "Content-Encoding: br"), 415),
        (post(b"", f"Origin: {PAGE}", "Content-Length: 99999999", length=False), 413),
    ],
)
def test_an_allowed_page_reads_every_answer(running, request_, status):
    reply = running.ask(request_)
    assert reply.status == status
    assert cors(reply)["access-control-allow-origin"] == PAGE
    assert cors(reply)["access-control-expose-headers"] == "Retry-After"


def test_a_page_that_is_refused_for_now_reads_when_to_come_again():
    from pipeline.collect.batch import Refused, Why

    with Running() as running:
        running.sink.refusal = Refused(Why.DISK, 9)
        reply = running.ask(post(b'{"a":1}', f"Origin: {PAGE}", key="wk-page-secret"))
        assert (reply.status, reply.headers["retry-after"]) == (503, "9")
        assert cors(reply)["access-control-allow-origin"] == PAGE


def test_a_header_that_would_break_out_is_not_mirrored(running):
    assert "access-control-allow-headers" not in cors(preflight(running, PAGE, names="a;b"))
    assert "access-control-allow-headers" not in cors(preflight(running, PAGE, names="a" * 5000))


def test_every_page_may_send_where_a_key_says_so():
    with Running({"keys": {"web": {"key": "k", "origins": "*"}}}) as running:
        assert (
            cors(preflight(running, "https://any.example"))["access-control-allow-origin"]
            == "https://any.example"
        )
        assert running.ask(post(b'{"a":1}', "Origin: https://any.example", key="k")).status == 200


def test_on_a_laptop_every_page_and_key_may():
    with Running({"keys": "any"}) as running:
        for origin in ("http://localhost:3000", "null"):
            assert cors(preflight(running, origin))["access-control-allow-origin"] == origin
            assert running.ask(post(b'{"a":1}', f"Origin: {origin}", key=None)).status == 200
