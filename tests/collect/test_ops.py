"""What whoever runs a collector asks it."""

from __future__ import annotations

from pipeline.telemetry import metrics
from tests.collect.rig import Running, post

BEARER = "Authorization: Bearer scrape-me"


def get(path: str, *headers: str, method: str = "GET") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: x", *headers, "", ""]).encode()


def test_probes_and_robots_are_answered(running):
    assert (running.ask(get("/healthz")).status, running.ask(get("/healthz")).body) == (200, b"ok\n")
    assert (running.ask(get("/readyz")).status, running.ask(get("/readyz")).body) == (200, b"ready\n")
    assert b"Disallow: /" in running.ask(get("/robots.txt")).body
    assert running.ask(get("/healthz", method="POST")).status == 405


def test_metrics_say_what_was_done(monkeypatch):
    monkeypatch.setenv("HOOKLINE_METRICS_TOKEN", "scrape-me")
    metrics.reset()
    with Running() as running:
        for key in ("sk-server-secret", "wk-page-secret", "unknown"):
            running.ask(post(b'[{"a":1},{"a":2}]', key=key))
        running.ask(post(b"nothing"))
        running.ask(b"\x16\x03\x01\r\n\r\n")
        said = running.ask(get("/metrics", BEARER))
    assert said.headers["content-type"].startswith("text/plain")
    lines = set(said.body.decode().splitlines())
    for line in (
        'hookline_collect_requests_total{protocol="native",key="server",status="200"} 1',
        'hookline_collect_requests_total{protocol="native",key="web",status="200"} 1',
        'hookline_collect_requests_total{protocol="native",key="-",status="401"} 1',
        'hookline_collect_requests_total{protocol="native",key="-",status="400"} 1',
        'hookline_collect_members_total{protocol="native",key="server"} 2',
        'hookline_collect_refused_total{reason="key"} 1',
        'hookline_collect_refused_total{reason="malformed"} 2',
        "hookline_collect_answer_seconds_count 2",
        "hookline_collect_connections_open 1",
        "hookline_collect_in_flight_bytes 0",
        "hookline_collect_held 0",
    ):
        assert line in lines


def test_metrics_are_for_who_has_the_token_and_without_one_for_nobody(running, monkeypatch):
    for headers in ((), ("Authorization: Bearer ",), ("Authorization: Bearer None",)):
        reply = running.ask(get("/metrics", *headers))
        assert reply.status == 404
        assert b"hookline_" not in reply.body
    monkeypatch.setenv("HOOKLINE_METRICS_TOKEN", "scrape-me")
    with Running() as other:
        for headers, status in (((), 401), (("Authorization: Bearer scrape-m",), 401), ((BEARER,), 200)):
            assert other.ask(get("/metrics", *headers)).status == status


def test_unknown_paths_and_methods_are_told_apart(running):
    for path in ("/nowhere", "/v1/logs", "/com.snowplowanalytics.snowplow/tp2"):
        reply = running.ask(post(path=path))
        assert reply.status == 404
        assert all(there in reply.body for there in (b"PostHog", b"/v1/events", b"/hooks/NAME"))
    reply = running.ask(get("/v1/events"))
    assert (reply.status, reply.headers["allow"]) == (405, "POST")
