"""`hookline collect` and `hookline up` as a person meets them: what they say, how they end."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO

import pytest

from pipeline.receiver.server import Receiver
from tests.cli.conftest import Hookline
from tests.kit.programs.ports import free_port
from tests.kit.programs.run import HOOKLINE, Bench, children, has_ended, lines_of, started, until
from tests.kit.terminal import Terminal, terminal
from tests.runtime.scale.test_terminal import COLUMNS, LOGGED


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def bench(tmp_path: Path, receiver: Receiver, port: int) -> Bench:
    bench = Bench(
        tmp_path,
        "{network: {allow: [127.0.0.0/8]}, epoch: 200ms, shards: 2, "
        f"collect: {{keys: any, listen: {port}}}}}",
    )
    bench.webhook("w", receiver.url("/w"), '  body: {plan: "{{ user.properties.plan }}"}\n')
    return bench


def post(port: int, *records: Mapping[str, object]) -> bool:
    """Return whether the records were taken; False while nobody listens."""
    body = json.dumps(records).encode()
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/events", data=body, timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def event(id: str, user: str = "u1") -> dict[str, object]:
    return {"type": "event", "id": id, "name": "Purchase", "user_id": user}


def words(verb: str, bench: Bench, *flags: object) -> list[str]:
    return [str(HOOKLINE), verb, "-c", str(bench.config), *map(str, flags)]


@contextmanager
def watched(bench: Bench, verb: str) -> Iterator[Terminal]:
    environment = {name: value for name, value in bench.environ.items() if name != "COLUMNS"}
    more = ["--state", str(bench.state)] if verb == "up" else []
    with terminal([*words(verb, bench, *more)[1:]], environment) as found:
        yield found


def test_an_event_becomes_a_webhook_with_the_users_property_and_ctrl_c_ends_both(
    bench: Bench, receiver: Receiver, port: int
):
    with watched(bench, "up") as shown:
        user = {"type": "user", "user_id": "u1", "set": {"plan": "pro"}}
        until(lambda: post(port, user, event("e1")))
        until(lambda: receiver.requests)
        assert json.loads(receiver.requests[0].body) == {"plan": "pro"}
        until(lambda: "job      2 records" in shown.said and "1 delivered" in shown.said)
        until(lambda: "collect  2 records" in shown.said)
        shown.process.send_signal(signal.SIGINT)
        assert shown.process.wait(30) == 0, shown.said
        until(lambda: "this run: 2 records" in shown.said)
        assert "collected 2 records in 1 request" in shown.said
        said = [line.replace("\r\x1b[1A", "") for line in shown.lines()]
        assert [line for line in said if len(line) > COLUMNS and not LOGGED.search(line)] == []
        stops = [line.split(" | ")[0].strip() for line in said if " info  stopping" in line]
        assert stops == ["collect", "job"]
        assert "Traceback" not in shown.said


def test_a_collector_that_is_killed_is_started_again_loudly_and_nobody_outlives_up(
    bench: Bench, receiver: Receiver, port: int
):
    with started(*words("up", bench, "--state", bench.state, "--processes", 2), env=bench.environ) as up:
        until(lambda: post(port, event("e1")))
        until(lambda: receiver.requests)
        collector, *others = until(lambda: len(found := children(up.pid)) == 3 and found)
        os.kill(collector, signal.SIGKILL)
        until(lambda: has_ended(collector))
        until(lambda: post(port, event("e2")))
        until(lambda: len(receiver.requests) == 2)
        members = children(up.pid)
        assert set(others) < set(members), "the job did not notice"
        os.kill(up.pid, signal.SIGKILL)
        until(lambda: all(map(has_ended, members)))
        _, err = up.communicate()
    again = [line for line in lines_of(err, "warn") if line["message"] == "starting again"]
    assert [(line["member"], line["wait_secs"]) for line in again] == [("collect", 0.5)]
    listens = [line for line in lines_of(err, "info") if line["message"] == "listening"]
    assert [line["member"] for line in listens] == ["collect", "collect"]


def test_the_console_is_a_member_where_the_config_names_it_and_its_link_is_shown_once(
    bench: Bench, receiver: Receiver, port: int
):
    pages = free_port()
    pipeline = bench.config / "pipeline.yaml"
    pipeline.write_text(pipeline.read_text().rstrip().removesuffix("}") + f", console: {{listen: {pages}}}}}")
    with started(*words("up", bench, "--state", bench.state), env=bench.environ) as up:
        until(lambda: post(port, event("e1")))
        until(lambda: receiver.requests)
        assert up.stderr is not None
        said = until_said(up.stderr, f"console: http://127.0.0.1:{pages}/login#token=")
        token = said[-1].rpartition("=")[2].strip()
        assert entered(pages, token) == 303, "the link is good"
        assert entered(pages, token) == 403, "once"
        up.send_signal(signal.SIGTERM)
        out, err = up.communicate(timeout=30)
        assert up.returncode == 0, err
    assert token not in "".join(said[:-1]) + out
    stops = [line["member"] for line in lines_of(err, "info") if line["message"] == "stopping"]
    assert stops == ["collect", "job", "console"]


def until_said(stream: IO[str], words: str) -> list[str]:
    """Return the lines up to the one with these words."""
    said: list[str] = []
    while not said or words not in said[-1]:
        line = stream.readline()
        assert line, f"it ended: {said}"
        said.append(line)
    return said


def entered(port: int, token: str) -> int:
    """Return the status of a log-in."""
    headers = {"content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "same-origin"}
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request("POST", "/login", f"token={token}", headers)
        return connection.getresponse().status


def test_a_webhook_that_no_job_starts_with_is_said_before_anything_is_started(
    hookline: Hookline, bench: Bench, port: int
):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()  # a collector that was started would say that it cannot listen
        (bench.config / "webhooks" / "bad.yaml").write_text("id: bad\ntriger: {event: A}\n")
        said = hookline("up", "-c", bench.config, "--state", bench.state)
    assert said.code == 1, said
    assert "webhooks/bad.yaml" in said.err
    assert "triger" in said.err
    assert "cannot listen" not in said.err
    assert not (bench.config / "collected").exists()


def test_a_collector_alone_shows_where_it_listens_and_what_to_paste(bench: Bench, port: int):
    with watched(bench, "collect") as shown:
        until(lambda: post(port, event("e1")))
        until(lambda: re.search(r"\x1b\[J1 record  ", shown.said))
        assert f"curl http://127.0.0.1:{port}/v1/events -d" in shown.said
        shown.process.send_signal(signal.SIGINT)
        assert shown.process.wait(30) == 0, shown.said
        until(lambda: "collected 1 record in 1 request" in shown.said)
        assert [line for line in shown.lines() if len(line) > COLUMNS and not LOGGED.search(line)] == []


def test_without_a_section_there_is_nobody_to_listen_to(hookline: Hookline, tmp_path: Path):
    said = hookline("collect", "-c", tmp_path)
    assert said.code == 1
    assert "add `collect: {keys: any}`" in said.err


def test_flags_and_variables_set_where_it_listens_and_keeps(
    hookline: Hookline, tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "pipeline.yaml").write_text("collect: {keys: any}\n")
    said = hookline("collect", "-c", tmp_path, "--listen", "0.0.0.0:80")
    assert said.code == 1
    assert "flag --listen" in said.err
    assert "name the keys, or listen on 127.0.0.1" in said.err
    monkeypatch.setenv("HOOKLINE_COLLECT_LISTEN", f"127.0.0.1:{port}")
    with socket.create_server(("127.0.0.1", port)):
        said = hookline("collect", "-c", tmp_path, "--to", tmp_path / "elsewhere")
    assert said.code == 2
    assert "Address already in use" in said.err
    assert (tmp_path / "elsewhere").is_dir()
    assert not (tmp_path / "collected").exists()
