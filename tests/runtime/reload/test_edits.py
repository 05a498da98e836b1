"""Edits while the job runs: each takes effect within two seconds, and a broken one keeps what runs."""

from __future__ import annotations

import json
import os
import time
import urllib.request
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pipeline.receiver.server import Receiver
from pipeline.runtime.processes.group import free_ports
from tests.kit.programs.run import Bench, lines_of, started, until

EFFECTIVE_SECS = 20.0
"""An edit is looked for every half second and tried in another process: a busy machine takes its time."""
BODY = "  body: {id: '{{ event.id }}', version: '{{ vars.version }}'}\n"


class Living:
    """A running job, its config, and events sent to see what it does with them."""

    def __init__(self, bench: Bench, receiver: Receiver, port: int) -> None:
        self.bench, self.receiver, self.port = bench, receiver, port
        self.sent = 0

    def text(self, name: str, version: object, trigger: str = "{events: [Probe]}", more: str = "") -> str:
        url = self.receiver.url(f"/{name}")
        head = f"id: {name}\nvars: {{version: {version}}}\ntrigger: {trigger}\n"
        return f"{head}request:\n  url: {url}\n{BODY}{more}"

    def path(self, name: str) -> Path:
        return self.bench.config / "webhooks" / f"{name}.yaml"

    def probe(self, **properties: object) -> dict[str, Any]:
        """Send an event; return which webhook sent which version for it, once `watch` has sent its own."""
        event_id = f"e{self.sent}"
        self.sent += 1
        self.bench.append({"name": "Probe", "id": event_id, "properties": properties})

        def answered() -> dict[str, Any] | None:
            found = self.versions(event_id)
            return found if "watch" in found else None

        return until(answered)

    def versions(self, event_id: str) -> dict[str, Any]:
        bodies = [(r.path[1:], json.loads(r.body)) for r in list(self.receiver.requests)]
        return {path: body["version"] for path, body in bodies if body["id"] == event_id}

    def becomes(self, expected: dict[str, Any], **properties: object) -> None:
        """Send events until one has exactly this effect, before `EFFECTIVE_SECS` are over."""
        deadline = time.monotonic() + EFFECTIVE_SECS
        while True:
            # An event's other requests may come a moment after that of `watch`.
            found = self.probe(**properties)
            event_id = f"e{self.sent - 1}"
            if found == expected or self.versions(event_id) == expected:
                return
            assert time.monotonic() < deadline, (found, expected)

    def metric(self, name: str) -> dict[str, float]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=10) as answer:
            rows = [
                line.rsplit(" ", 1)
                for line in answer.read().decode().splitlines()
                if not line.startswith("#")
            ]
        return {row[0]: float(row[1]) for row in rows if name in row[0]}


@pytest.fixture
def living(tmp_path: Path, receiver: Receiver) -> Living:
    """`watch` always fires and never changes; it tells that an event has been through."""
    bench = Bench(tmp_path)
    living = Living(bench, receiver, free_ports(1)[0])
    bench.webhook("watch", receiver.url("/watch"))
    living.path("watch").write_text(living.text("watch", 0))
    return living


def problem_without(living: Living, word: str) -> str:
    problems = str(living.bench.status()["config"]["problems"])
    return "" if word in problems else problems


def write_as_editors_do(path: Path, text: str) -> None:
    """Write a temporary file beside it and put that in its place, with a back-up of the old one."""
    partial = path.with_name(f".{path.name}.swp")
    partial.write_text(text)
    if path.exists():
        os.replace(path, path.with_name(f"{path.name}~"))
    os.replace(partial, path)


def test_every_kind_of_edit_takes_effect(living: Living):
    write: list[Callable[[Path, str], object]] = [Path.write_text, write_as_editors_do]
    with living.bench.running("--metrics", living.port) as job:
        assert living.probe() == {"watch": 0}
        for version, put in enumerate(write * 2, 1):
            put(living.path("w"), living.text("w", version))  # new at first, then changed
            living.becomes({"watch": 0, "w": version})
        living.path("w").write_text(living.text("w", 5, more="enabled: false\n"))
        living.becomes({"watch": 0})
        living.path("w").write_text(living.text("w", 6))
        living.becomes({"watch": 0, "w": 6})
        living.path("w").unlink()
        living.becomes({"watch": 0})

        lists = living.bench.config / "lists"
        lists.mkdir()
        (lists / "plans.txt").write_text("pro\n")
        only = "{events: [Probe], where: {event.properties.plan: {in: {file: lists/plans.txt}}}}"
        living.path("listed").write_text(living.text("listed", 1, only))
        living.becomes({"watch": 0, "listed": 1}, plan="pro")
        assert living.probe(plan="team") == {"watch": 0}
        write_as_editors_do(lists / "plans.txt", "team\n")
        living.becomes({"watch": 0, "listed": 1}, plan="team")
        living.becomes({"watch": 0}, plan="pro")

        broken = living.text("listed", 2, only).replace("trigger", "triger")
        living.path("listed").write_text(broken)
        refused = until(lambda: living.bench.status()["config"]["problems"], secs=EFFECTIVE_SECS)
        assert "did you mean `trigger`?" in refused
        assert "listed.yaml:3:1" in refused
        assert "refused" in living.bench.hookline("status")
        assert living.metric("config_problems") == {"hookline_config_problems": 1}
        assert living.probe(plan="team") == {"watch": 0, "listed": 1}
        (lists / "plans.txt").unlink()
        living.path("listed").write_text(living.text("listed", 3, only))
        gone = until(lambda: problem_without(living, "triger"), secs=EFFECTIVE_SECS)
        assert "plans.txt" in gone
        (lists / "plans.txt").write_text("team\n")
        living.becomes({"watch": 0, "listed": 3}, plan="team")
        assert living.bench.status()["config"]["problems"] == ""
        assert living.metric("config_problems") == {"hookline_config_problems": 0}
        reloads = living.metric("config_reloads_total")
        assert reloads['hookline_config_reloads_total{result="broken"}'] == 2
    assert job.returncode == 0


def test_what_comes_after_a_version_is_said_to_be_in_use_runs_under_it(tmp_path: Path, receiver: Receiver):
    """With long epochs: an edit is known long before the source comes to it."""
    bench = Bench(tmp_path, "{network: {allow: [127.0.0.0/8]}, epoch: 1500ms, shards: 1}")
    bench.webhook("watch", receiver.url("/watch"))
    bench.append({"id": "0"})
    with started(*bench.command("--follow"), env=bench.environ):
        until(lambda: receiver.requests)
        for number in range(3):
            before = bench.status()["config"]["version"]
            bench.webhook(f"new-{number}", receiver.url(f"/{number}"))
            until(partial(_is_another, bench, before))
            bench.append({"id": f"after-{number}"})
            until(partial(_has_come, receiver, f"/{number}"))


def _is_another(bench: Bench, version: str) -> bool:
    return bool(bench.status()["config"]["version"] != version)


def _has_come(receiver: Receiver, path: str) -> bool:
    return any(one.path == path for one in list(receiver.requests))


def test_what_was_refused_is_in_the_log_with_place_and_remedy(living: Living):
    with living.bench.running("--log-format", "json") as job:
        living.probe()
        living.path("w").write_text(living.text("w", 1).replace("url", "ulr"))
        until(lambda: living.bench.status()["config"]["problems"])
        job.terminate()
        _, said = job.communicate(timeout=20)
    (row,) = [row for row in lines_of(said, "error") if "refused" in row["message"]]
    assert "did you mean `url`?" in row["problems"]


def test_directories_that_are_swapped_as_kubernetes_does(living: Living, tmp_path: Path):
    """`webhooks` is a link into `..data`, which is a link to a folder with a time in its name."""

    def mount(version: int, *names: str) -> None:
        folder = mounted / f"..2026_{version}"
        folder.mkdir()
        for name in ("watch", *names):
            (folder / f"{name}.yaml").write_text(living.text(name, version))
        partial = mounted / "..data_tmp"
        partial.symlink_to(folder.name)
        os.replace(partial, mounted / "..data")
        for name in ("watch", *names):
            link = mounted / f"{name}.yaml"
            if not link.is_symlink():
                link.symlink_to(f"..data/{name}.yaml")
        for link in mounted.glob("*.yaml"):
            if not link.exists():
                link.unlink()

    living.path("watch").unlink()
    (living.bench.config / "webhooks").rmdir()
    mounted = living.bench.config / "webhooks"
    mounted.mkdir()
    mount(1, "w")
    with living.bench.running():
        assert living.probe()["watch"] == 1
        mount(2, "w")
        living.becomes({"watch": 2, "w": 2})
        mount(3)
        living.becomes({"watch": 3})


def test_what_a_deleted_webhook_owes_is_still_delivered_in_this_run_and_the_next(
    living: Living, receiver: Receiver
):
    receiver.answer({"/w": [503], "*": [200]})
    more = "delivery: {retry: {min_delay: 100ms, max_delay: 200ms}}\n"
    for name in ("w", "v"):
        living.path(name).write_text(living.text(name, 1, more=more))
    receiver.answer({"/w": [503], "/v": [503], "*": [200]})

    def delivered(name: str) -> int:
        return int(living.bench.counts(name)["delivered"])

    with living.bench.running():
        living.probe()
        living.path("w").unlink()
        living.path("v").unlink()
        living.becomes({"watch": 0})
        assert delivered("w") == 0
        receiver.answer({"/v": [503], "*": [200]})
        until(lambda: delivered("w") >= 1)
    owed = living.bench.counts("v")
    assert owed["pending"] == owed["matched"] >= 1
    receiver.answer({"*": [200]})
    with living.bench.running():
        until(lambda: delivered("v") == owed["matched"])
    assert {r.headers["content-type"] for r in receiver.requests if r.path == "/v"} == {"application/json"}


def test_a_secret_whose_file_changes_is_used_without_an_edit_or_a_restart(living: Living, receiver: Receiver):
    token = living.bench.config / "token"
    token.write_text("first-token\n")
    more = "  auth: {bearer: {token: '${file:token}'}}\n  headers: {x-more: '${file:token}'}\n"
    living.path("watch").write_text(living.text("watch", 0, more=more))

    def used() -> set[str]:
        living.probe()
        headers = receiver.requests[-1].headers
        return {headers["authorization"].removeprefix("Bearer "), headers["x-more"]}

    with living.bench.running():
        assert used() == {"first-token"}
        write_as_editors_do(token, "second-token\n")
        until(lambda: used() == {"second-token"}, secs=EFFECTIVE_SECS)
        receiver.answer({"*": {"status": 400, "body": "you sent first-token and second-token"}})
        living.bench.append({"name": "Probe", "id": "refused"})
        until(lambda: living.bench.listed("dlq"))
    (letter,) = living.bench.listed("dlq")
    assert letter["response"] == "you sent ${file:token} and ${file:token}", "the old value is still a secret"
