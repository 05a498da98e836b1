"""What a running job answers to the outside: over HTTP, and to its owner over the socket."""

from __future__ import annotations

import json
import socket
import stat
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.admin.routes import Route
from pipeline.admin.service import AdminService, parse_address
from pipeline.admin.socket_client import NotRunning, ask, socket_path
from pipeline.admin.view_routes import WAITS, view_routes
from pipeline.deliver.halts import Halts
from pipeline.deliver.stats import EngineStats
from pipeline.job.assembly import Job
from pipeline.job.settings import JobSettings
from pipeline.model.errors import Fatal, HooklineError, StateError, UsageError, cannot_listen
from pipeline.telemetry import log, metrics
from pipeline.telemetry.happenings import BROKERS_BACK, BROKERS_UNREACHABLE
from tests.kit.delivery.engine import RecordingEngine

Start = Callable[..., AdminService]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    running: list[AdminService] = []

    def start(**changes: Any) -> AdminService:
        commands = changes.pop("commands", {})
        routes = [*changes.pop("pages", ()), *(Route(name, handler) for name, handler in commands.items())]
        service = AdminService(state=changes.pop("state", tmp_path), routes=routes, **changes)
        running.append(service)
        service.start()
        return service

    yield start
    for service in running:
        service.stop()
        service.stop()


def get(service: AdminService, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{service.port}{path}", timeout=5) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


class Engine(RecordingEngine):
    """With numbers of its own."""

    def stats(self) -> EngineStats:
        return EngineStats({}, 0, 1.5, 2.5)


def job(state: Path, *, opened: bool = True) -> Job:
    """Return a job that has read and committed something; opened: with a shard."""
    versions: Any = SimpleNamespace(in_use="h", configured=("crm", "quiet"))
    source: Any = None  # nothing is read any more
    job = Job(JobSettings(state, shards=1), source, versions, Engine(), Halts(state))
    job.committed.records["0"] = {"record/read": 7}
    job.committed.webhooks[0] = {"crm/matched": 3}
    if opened:
        shard: Any = SimpleNamespace(number=0)
        job.shards.opened(shard)
    return job


def pages(job: Job) -> list[Route]:
    return view_routes(job, 0)


def test_status_health_and_metrics_are_served(start: Start, tmp_path: Path):
    service = start(address="0", pages=pages(job(tmp_path)))
    metrics.reset()
    assert json.loads(get(service, "/status")[1])["records"]["read"] == 7
    assert get(service, "/healthz") == get(service, "/readyz") == (200, "ok\n")
    text = get(service, "/metrics")[1]
    assert 'hookline_webhook_matched_total{webhook="crm"} 3' in text
    assert 'hookline_webhook_matched_total{webhook="quiet"} 0' in text
    memory = next(line for line in text.splitlines() if line.startswith("process_resident_memory_bytes"))
    assert int(memory.split()[1]) > 1_000_000
    assert get(service, "/other")[0] == 404
    metrics.reset()


def test_brokers_that_are_away_are_shown_and_do_not_take_the_job_from_service(start: Start, tmp_path: Path):
    metrics.reset()
    BROKERS_UNREACHABLE.happened(log.get("kafka"))
    service = start(address="0", pages=pages(job(tmp_path)))
    assert json.loads(get(service, "/status")[1])["waits"] == WAITS["source_unreachable"]
    assert get(service, "/readyz")[0] == 200
    BROKERS_BACK.happened(log.get("kafka"))
    assert json.loads(get(service, "/status")[1])["waits"] == ""
    metrics.reset()


def test_a_job_that_is_starting_is_healthy_but_not_ready(start: Start, tmp_path: Path):
    service = start(address="0", pages=pages(job(tmp_path, opened=False)))
    assert get(service, "/healthz")[0] == 200
    assert get(service, "/readyz") == (503, "opening the state\n")


def test_a_job_that_stops_is_healthy_but_not_ready(start: Start, tmp_path: Path):
    ending = job(tmp_path)
    ending.drain.stopping = True
    service = start(address="0", pages=pages(ending))
    assert get(service, "/healthz")[0] == 200
    assert get(service, "/readyz") == (503, "stopping: what is on its way is sent\n")


def test_a_sick_job_is_neither_healthy_nor_ready(start: Start, tmp_path: Path):
    sick = job(tmp_path)
    sick.failure.note(Fatal("the engine died"))
    service = start(address="0", pages=pages(sick))
    assert get(service, "/healthz") == (503, "stopping: the engine died\n")
    assert get(service, "/readyz")[0] == 503


def test_a_page_is_a_command_too_but_a_command_is_no_page(start: Start, tmp_path: Path):
    asked: list[str] = []
    service = start(address="0", pages=pages(job(tmp_path)), commands={"pause": lambda: asked.append("it")})
    assert get(service, "/pause")[0] == 404
    assert asked == []
    assert ask(tmp_path, "healthz") == ["ok\n"]
    assert ask(tmp_path, "status")[0]["latency_ms"] == {"p50": 1.5, "p99": 2.5}


def test_a_page_that_fails_says_nothing_of_the_inside(start: Start):
    service = start(address="0", pages=[Route("status", lambda: 1 / 0, public=True)])
    assert get(service, "/status") == (500, "this failed; the job's log says more\n")
    assert get(service, "/status")[0] == 500


def test_a_page_that_takes_its_time_holds_up_no_other(start: Start):
    begun, asked = threading.Event(), threading.Event()

    def slow() -> str:
        begun.set()
        return "waited" if asked.wait(5) else "stuck"

    def other() -> str:
        asked.set()
        return "ok"

    service = start(address="0", pages=[Route("slow", slow, public=True), Route("other", other, public=True)])
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(get, service, "/slow")
        assert begun.wait(5)
        assert get(service, "/other") == (200, "ok")
        assert waiting.result() == (200, "waited")


def test_a_taken_port_is_a_clear_usage_error(start: Start):
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(UsageError, match="cannot listen"):
        start(address=str(taken.getsockname()[1]))


def test_a_host_that_is_not_found_is_said_in_words():
    unknown = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    said = str(cannot_listen("no.example", 1, unknown, "--metrics"))
    assert said == (
        "cannot listen on no.example:1: Name or service not known (name another address with `--metrics`)"
    )


@pytest.mark.parametrize(
    ("text", "address"),
    [("9090", ("127.0.0.1", 9090)), ("0.0.0.0:1", ("0.0.0.0", 1)), ("[::1]:2", ("::1", 2))],
)
def test_addresses(text: str, address: tuple[str, int]):
    assert parse_address(text) == address


@pytest.mark.parametrize("text", ["", "x", "1:", "70000", "host:-1"])
def test_a_bad_address_says_what_is_wanted(text: str):
    with pytest.raises(UsageError, match="PORT or HOST:PORT"):
        parse_address(text)


def test_a_command_reaches_every_process_of_the_job(start: Start, tmp_path: Path):
    for process in range(2):
        start(process=process, commands={"pause": lambda webhook, n=process: [n, webhook]})
    assert ask(tmp_path, "pause", webhook="crm") == [[0, "crm"], [1, "crm"]]


def test_what_a_command_refuses_comes_back_with_its_exit_code(start: Start, tmp_path: Path):
    def refuse() -> None:
        raise StateError("no such webhook")

    def fail() -> None:
        raise HooklineError("")

    start(
        commands={
            "pause": refuse,
            "fail": fail,
            "burst": lambda: 1 / 0,
            "exit": sys.exit,
            "odd": lambda: {1, 2},
        }
    )
    with pytest.raises(HooklineError, match="no such webhook") as refused:
        ask(tmp_path, "pause")
    assert refused.value.exit_code == 3
    with pytest.raises(HooklineError, match=r"^$"):
        ask(tmp_path, "fail")
    with pytest.raises(HooklineError, match="ZeroDivisionError"):
        ask(tmp_path, "burst")
    with pytest.raises(HooklineError, match="SystemExit"):
        ask(tmp_path, "exit")
    with pytest.raises(HooklineError, match="not JSON serializable"):
        ask(tmp_path, "odd")
    with pytest.raises(HooklineError, match="does not know"):
        ask(tmp_path, "other")


def test_garbage_is_answered_and_does_not_end_the_service(start: Start, tmp_path: Path):
    start(commands={"ping": lambda: "pong"})
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(socket_path(tmp_path, 0)))
        for line in (b"\xff\n", b"[]\n", b'{"command": {}}\n', b'{"command": "ping", "args": 3}\n'):
            client.sendall(line)
            assert json.loads(client.makefile("rb").readline())["ok"] is False
    assert ask(tmp_path, "ping") == ["pong"]


def test_only_the_owner_can_open_the_socket(start: Start, tmp_path: Path):
    start()
    assert stat.S_IMODE(socket_path(tmp_path, 0).stat().st_mode) == 0o600


def test_nobody_listening_is_said_also_after_a_kill(start: Start, tmp_path: Path):
    with pytest.raises(NotRunning, match="no job runs"):
        ask(tmp_path, "ping")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(socket_path(tmp_path, 0)))
    with pytest.raises(NotRunning):
        ask(tmp_path, "ping")
    service = start(commands={"ping": lambda: "pong"})
    assert ask(tmp_path, "ping") == ["pong"]
    service.stop()
    assert not socket_path(tmp_path, 0).exists()


def test_a_state_directory_may_be_very_deep(start: Start, tmp_path: Path):
    deep = tmp_path / ("d" * 90) / ("e" * 90)
    deep.mkdir(parents=True)
    start(state=deep, commands={"ping": lambda: "pong"})
    assert ask(deep, "ping") == ["pong"]
