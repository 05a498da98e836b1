"""The HTTP views: no page of the web reads them by a name of its own, and none says what serves it."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.admin.routes import Route
from pipeline.admin.service import AdminService

PAGES = [Route(name, lambda: "fine", public=True) for name in ("healthz", "readyz", "metrics", "status")]
Ask = Callable[..., http.client.HTTPResponse]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Ask]]:
    running: list[AdminService] = []

    def serve(address: str = "127.0.0.1:0", token: str | None = None) -> Ask:
        service = AdminService(state=tmp_path, routes=PAGES, address=address, token=token)
        running.append(service)
        service.start()

        def ask(path: str = "/status", **headers: str) -> http.client.HTTPResponse:
            talk = http.client.HTTPConnection("127.0.0.1", service.port or 0, timeout=5)
            talk.request("GET", path, headers=headers)
            answer = talk.getresponse()
            answer.read()
            talk.close()
            return answer

        return ask

    yield serve
    for service in running:
        service.stop()


@pytest.mark.parametrize(
    ("host", "status"),
    [
        *((name, 200) for name in ("127.0.0.1", "127.0.0.1:9090", "[::1]:9090", "10.1.2.3", "localhost:80")),
        *((name, 200) for name in ("LOCALHOST", "localhost.", "job", "Job:9090", socket.gethostname())),
        *((name, 421) for name in ("evil.example", "evil.example:9090", "localhost.evil.example", "", "x")),
        *((name, 421) for name in ("127.0.0.1.evil.example", "jobs", "0x7f.1", "localhost:80@evil.example")),
    ],
)
def test_only_known_names_are_answered(serve: Callable[..., Ask], host: str, status: int) -> None:
    ask = serve("127.0.0.1:0, job")
    for path in ("/status", "/metrics", "/healthz", "/nowhere"):
        wanted = 404 if (status, path) == (200, "/nowhere") else status
        assert ask(path, host=host).status == wanted


def test_a_token_is_wanted_by_all_but_the_probes(serve: Callable[..., Ask]) -> None:
    ask = serve(token="s3cret-token")
    for path in ("/status", "/metrics", "/nowhere"):
        assert ask(path).status == 401
        assert ask(path, authorization="Bearer s3cret-toke").status == 401
        assert ask(path, authorization="Basic s3cret-token").status == 401
    assert ask("/metrics").getheader("www-authenticate") == "Bearer"
    assert ask("/metrics", authorization="Bearer s3cret-token").status == 200
    assert ask("/healthz").status == ask("/readyz").status == 200


def test_no_answer_says_what_serves_it(serve: Callable[..., Ask]) -> None:
    ask = serve()
    for answer in (ask(), ask("/nowhere"), ask(host="evil.example")):
        assert answer.getheader("server") is None
        assert answer.getheader("x-content-type-options") == "nosniff"
