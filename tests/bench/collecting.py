"""Events over HTTP: what `hookline collect` takes and how soon it answers, beside what one would write.

Rates are asked for by wrk (C) over 64 connections from the same two cores; every event has an id of its own.
Waits are those of programs/pace.py. Each candidate runs as a process on a folder of its own.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from tests.bench.latency import WEBHOOK, receiving
from tests.bench.measure import Candidate, Process, Run, heading, left_out, reap
from tests.bench.peers.collect import KEY
from tests.kit.programs.ports import free_port
from tests.kit.programs.run import until
from tests.kit.streams.samples import ROOT

if TYPE_CHECKING:
    from tests.bench.sections import Bench

OURS, SYNCED, MEMORY = "hookline collect", "aiohttp, synced each", "aiohttp, from memory"
CONNECTIONS = 64
BATCH = 100
ONE = (
    '{"type":"event","name":"Purchase","user_id":"u-123456","id":"@@",'
    '"properties":{"amount":149.95,"currency":"EUR","order_id":"o-1","coupon":null}}'
)
CALL = (
    '{"type":"track","event":"Purchase","userId":"u-123456","messageId":"@@-%d",'
    '"timestamp":"2026-01-01T10:00:00.000Z","properties":{"amount":149.95,"currency":"EUR","order_id":"o-1"}}'
)
WRK = """
local made, thread = 0, 0
local body = [[{body}]]
function setup(one) one:set("id", thread); thread = thread + 1 end
function request()
  made = made + 1
  return wrk.format("POST", "{path}", {authorization = "{key}"}, (body:gsub("@@", id .. "-{run}-" .. made)))
end
"""

SAME = """
local made = wrk.format("POST", "/v1/events", {authorization = "Bearer {key}"}, [==[{body}]==])
function request() return made end
"""


def collector(folder: Path, port: int, more: str = "") -> list[str]:
    """Return how a collector is started on a new folder."""
    folder.mkdir(exist_ok=True)
    (folder / "pipeline.yaml").write_text(
        f"{more}\ncollect:\n  listen: 127.0.0.1:{port}\n  to: {{recording: {folder / 'collected'}}}\n"
        f"  keys: {{bench: {{key: {KEY}}}}}\n"
    )
    return [sys.executable, "-m", "pipeline.cli", "collect", "-c", str(folder)]


def candidates(bench: Bench) -> dict[str, tuple[list[str], int]]:
    """Return commands and ports."""
    script = [sys.executable, "-m", "tests.bench.peers.collect"]
    found = {}
    for name, which in ((OURS, ""), (SYNCED, "synced"), (MEMORY, "memory")):
        port, place = free_port(), bench.place()
        hand_written = [*script, which, str(port), str(place / "events.jsonl")]
        found[name] = (hand_written if which else collector(place, port), port)
    return found


def is_ready(port: int, process: Process) -> bool:
    """Return whether a server answers."""
    if process.poll() is not None:
        raise RuntimeError(f"it ended with {process.returncode}")
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1):
            return True
    except OSError:
        return False


def cpu_of(process: Process) -> float:
    """Return the seconds of CPU that a process has taken so far."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def loaded(
    name: str, command: list[str], port: int, script: Path, lua: str, secs: int, events: int
) -> Candidate:
    """Return a server that wrk asks as much as it can for so many seconds."""
    asked, cpu_secs = 0, 0.0

    def asking(process: Process) -> float:
        nonlocal asked, cpu_secs
        until(lambda: is_ready(port, process))
        script.write_text(lua.replace("{run}", str(process.pid)))
        wrk = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{secs}s", "--timeout", "30s", "-s", str(script)]
        before = cpu_of(process)
        said = subprocess.run([*wrk, f"http://127.0.0.1:{port}"], capture_output=True, text=True).stdout
        cpu_secs = cpu_of(process) - before
        found = re.search(r"(\d+) requests in ([\d.]+)s", said)
        if found is None or "Non-2xx" in said or "Socket errors" in said:
            raise RuntimeError(f"wrk says\n{said}")
        asked = int(found[1]) * events
        return asked / float(found[2])

    def watch(process: Process) -> float:
        try:
            return asking(process)
        except BaseException:
            process.kill()  # whoever waits for its end would wait for ever
            raise

    def read(_: str, run: Run) -> Run:
        # Without its start: a second of imports is not the cost of an event.
        return replace(run, units=asked, cpu_secs=cpu_secs, wall_secs=run.wall_secs * asked)

    return Candidate(name, command, 1, watch=watch, read=read)


def rates(bench: Bench) -> None:
    """Print tables of single events and of batches."""
    if shutil.which("wrk") is None:
        left_out("rates of collect: wrk is not installed (Debian: wrk)")
        return
    secs = max(1, round(bench.latency_secs))
    batch = '{"batch":[' + ",".join(CALL % n for n in range(BATCH)) + "]}"
    kinds: list[tuple[str, int, str, str, str]] = [
        ("single events", 1, ONE, "/v1/events", f"Bearer {KEY}"),
        (f"batches of {BATCH}", BATCH, batch, "/v1/batch", "Basic " + b64encode(f"{KEY}:".encode()).decode()),
    ]
    for title, events, body, path, key in kinds:
        lua = WRK
        for word, value in (("{body}", body), ("{path}", path), ("{key}", key)):
            lua = lua.replace(word, value)
        servers = [
            loaded(name, command, port, bench.folder / "post.lua", lua, secs, events)
            for name, (command, port) in candidates(bench).items()
        ]
        bench.compare(f"collect: {title}, {CONNECTIONS} connections, {secs} s each", servers, "event", SYNCED)


def rss_of(pid: int, field: str) -> float:
    """Return MiB: ``VmRSS`` now, ``VmHWM`` at most since the last `forget_most`."""
    found = re.search(rf"{field}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


def forget_most(pid: int) -> None:
    """Let VmHWM begin anew."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def overload(bench: Bench) -> None:
    """Print what memory a collector takes while ten times as much is sent at once as may be under way."""
    if shutil.which("wrk") is None:
        return
    secs = max(1, round(bench.latency_secs))
    # Without ids, so that all are kept; made once, so that wrk sends as fast as it can.
    large = ONE.replace('"id":"@@",', "").replace("EUR", "E" * 10_240)
    lua = SAME.replace("{key}", KEY).replace("{body}", "[" + ",".join([large] * BATCH) + "]")
    heading(f"collect: memory, batches of 1 MiB, {secs} s each (64 MiB may be under way)")
    names = ("connections", "sent at once MiB", "RSS before", "at most MiB", "answers", "refused")
    print("".join(f"{name:>18}" for name in names))
    port, place = free_port(), bench.place()
    quiet = {"cwd": ROOT, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(collector(place, port), **quiet)  # type: ignore[call-overload]  # by name
    try:
        until(lambda: is_ready(port, process))
        for connections in (6, CONNECTIONS, 10 * CONNECTIONS):
            script = bench.folder / "large.lua"
            script.write_text(lua)
            before = rss_of(process.pid, "VmRSS")
            forget_most(process.pid)
            wrk = ["wrk", "-t1", f"-c{connections}", f"-d{secs}s", "--timeout", "60s", "-s", str(script)]
            said = subprocess.run([*wrk, f"http://127.0.0.1:{port}"], capture_output=True, text=True).stdout
            answers, refused = (
                int(told[1]) if (told := re.search(form, said)) else 0
                for form in (r"(\d+) requests in", r"Non-2xx or 3xx responses: (\d+)")
            )
            most = rss_of(process.pid, "VmHWM")
            found = (connections, connections, round(before), round(most), answers, refused)
            print("".join(f"{one:>18,}" for one in found), flush=True)
    finally:
        process.kill()
        reap(process)


def paced(port: int, rate: int, bench: Bench) -> dict[str, float]:
    """Post at an even rate, and return the waits."""
    script = [sys.executable, "-m", "tests.bench.programs.pace", f"http://127.0.0.1:{port}", str(rate)]
    script += [str(bench.latency_secs), str(bench.warm_up_secs)]
    done = subprocess.run(script, capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    told: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return told


def acknowledged(command: list[str], port: int, rate: int, bench: Bench) -> dict[str, float]:
    """Return how long answers of a server took at this rate."""
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: is_ready(port, process))
        return paced(port, rate, bench)
    finally:
        process.kill()
        reap(process)


def end_to_end(place: Path, rate: int, bench: Bench) -> dict[str, float]:
    """Return how long it took from writing an event to its request, through collector and job."""
    port = free_port()
    with receiving() as (url, end):
        job = f"state: {place / 'state'}\nnetwork: {{allow: [127.0.0.0/8]}}"
        commands = [collector(place, port, job)]
        (place / "webhooks").mkdir()
        (place / "webhooks" / "fine.yaml").write_text(WEBHOOK.format(id="fine", url=url, events="Purchase"))
        commands.append([sys.executable, "-m", "pipeline.cli", "run", "-c", str(place)])
        quiet = {"cwd": ROOT, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        processes = [subprocess.Popen(one, **quiet) for one in commands]  # type: ignore[call-overload]  # by name
        try:
            until(lambda: is_ready(port, processes[0]))
            paced(port, rate, bench)
            noted = end(int(rate * (bench.latency_secs + bench.warm_up_secs)))
        finally:
            for process in processes:
                process.kill()
                reap(process)
    begun = min(at - age for at, age in noted)
    ages = sorted(age * 1000 for at, age in noted if at - age > begun + bench.warm_up_secs)
    return {"p50_ms": ages[len(ages) // 2], "p99_ms": ages[len(ages) * 99 // 100], "max_ms": ages[-1]}


def waits(bench: Bench) -> None:
    """Print how soon answers come, and how soon a receiver has what was posted."""
    rate = bench.rates[0]
    found: dict[str, list[dict[str, float]]] = {}
    for number in range(bench.rounds):
        cases: dict[str, Callable[[], dict[str, float]]] = {
            f"answer, {name}": partial(acknowledged, command, port, rate, bench)
            for name, (command, port) in candidates(bench).items()
        }
        cases["collect + run: POST in to POST out"] = lambda: end_to_end(bench.place(), rate, bench)
        for name, case in cases.items():
            one = case()
            found.setdefault(name, []).append(one)
            print(f"  round {number + 1}: {name} {one}", file=sys.stderr)
    heading(f"collect: waits at {rate:,} single events/s, {bench.latency_secs:g} s each")
    print(f"{'':<42}{'p50 ms':>10}{'p99 ms':>10}{'max ms':>10}")
    for name, runs in found.items():
        p50, p99, most = (median(run[what] for run in runs) for what in ("p50_ms", "p99_ms", "max_ms"))
        print(f"{name:<42}{p50:>10.2f}{p99:>10.2f}{most:>10.2f}", flush=True)


def collect(bench: Bench) -> None:
    """Events over HTTP: single ones, batches, overload, how soon they are answered, the way to a receiver."""
    rates(bench)
    overload(bench)
    waits(bench)
