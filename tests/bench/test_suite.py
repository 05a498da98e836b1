"""The bench runs, with tiny numbers (`make chaos`: every section), and names what is missing."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from subprocess import PIPE, Popen

import pytest

from tests.bench import collecting, measure, rates, sections, suite
from tests.bench.alone import http_clients
from tests.bench.measure import Candidate, Run
from tests.bench.programs import watch
from tests.bench.programs.watched import watched
from tests.bench.streams import java_peers
from tests.bench.streams.candidates import job, make_config
from tests.bench.streams.kafka_topics import NoBroker
from tests.bench.streams.servers import receiver
from tests.kit.programs.run import until

TINY = {
    "rounds": 1,
    "warm_up": False,
    "deliveries": 400,
    "events": 1200,
    "posts": 200,
    "latency_secs": 0.5,
    "warm_up_secs": 1.5,
    "webhook_counts": (1, 3),
    "shares": (0.05,),
    "rates": (200,),
    "checked": 3,
    "spread_users": 500,
}


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[sections.Bench]:
    def missing(folder: Path | None = None) -> None:
        raise NoBroker("none is asked for here")

    monkeypatch.setattr(sections, "broker", missing)
    monkeypatch.setattr(measure, "SHOWN", {})
    with ExitStack() as stack:
        origin, _ = stack.enter_context(receiver(tmp_path))
        yield sections.Bench(tmp_path, origin, stack=stack, **TINY)  # type: ignore[arg-type]  # by name


OTHERS = ("sparse", "webhooks", "bodies", "client", "processes")
"""They take turns and print as `firing` does, on other streams and configs, or of other candidates."""


@pytest.mark.parametrize("name", ["firing", *(pytest.param(name, marks=pytest.mark.slow) for name in OTHERS)])
def test_a_section_prints_a_table_with_each_candidate(
    name: str, bench: sections.Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    sections.SECTIONS[name](bench)
    shown = capsys.readouterr().out
    assert measure.SHOWN
    for row, figures in measure.SHOWN.items():
        assert row.rpartition(": ")[2] in shown
        assert figures["cpu_us"] > 0
        assert figures["per_sec"] > 0
    assert max(map(len, shown.splitlines())) <= measure.WIDTH


@pytest.mark.slow
def test_a_job_that_is_looked_at_is_measured_like_one_that_is_not(bench: sections.Bench) -> None:
    config = make_config(bench.place(), bench.origin, bench.stream(1.0, 400))
    seen = watched("looked at", job("", config, 400), config)
    measure.take_turns([seen], 1, warm_up=False)
    (run,) = seen.runs
    assert run.cpu_us > 0
    assert (config.parent / "audit.jsonl").exists()  # somebody has logged in


def test_latency_prints_a_row_per_case_and_names_the_missing_broker(
    bench: sections.Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.rates = (200,)
    sections.latencies(bench)
    shown = capsys.readouterr().out
    assert "file, 200/s, one receiver hangs" in shown
    assert "LEFT OUT: latency from Kafka: none is asked for here" in shown


@pytest.mark.slow
def test_troubled_neighbours_and_starts_print_a_row_per_case(
    bench: sections.Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.webhook_counts = (4,)
    sections.SECTIONS["crowd"](bench)
    sections.SECTIONS["start"](bench)
    store = bench.place() / "spread"
    rates.fill(store, 500)
    spread = rates.under_updates(store, 500, 200, 50, 0.5, 1.5)
    assert spread.arrived > 50
    shown = capsys.readouterr().out
    for row in ("4 webhooks, all are well", "4 webhooks, one hangs, one is late", "check: 3 webhooks"):
        assert row in shown
    assert "beside those, to without:" in shown


@pytest.mark.slow
def test_collect_prints_rates_and_waits_of_each_candidate(
    bench: sections.Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = collecting.candidates
    monkeypatch.setattr(collecting, "candidates", lambda bench: dict(list(whole(bench).items())[2:]))
    bench.latency_secs, bench.warm_up_secs = 0.5, 0.3
    collecting.collect(bench)
    shown = capsys.readouterr().out
    for row in ("answer, aiohttp, from memory", "collect + run: POST in to POST out"):
        p50, p99, most = map(float, shown.partition(row)[2].split()[:3])
        assert 0 < p50 <= p99 <= most
    if shutil.which("wrk") is None:
        assert "LEFT OUT: rates of collect: wrk is not installed" in shown
    else:
        assert {row.rpartition(": ")[2] for row in measure.SHOWN} == {"aiohttp, from memory"}


def test_jars_of_a_peer_that_are_not_those_of_its_list_are_named(tmp_path: Path) -> None:
    for name in ("same", "other", "more"):
        (tmp_path / f"{name}.jar").write_bytes(name.encode())
    sums = tmp_path / "jars.sha256"
    digest = hashlib.sha256(b"same").hexdigest()
    sums.write_text("".join(f"{digest}  {name}.jar\n" for name in ("same", "other", "missing")))
    with pytest.raises(java_peers.NoPeer, match=r"^missing.jar, more.jar, other.jar in "):
        java_peers.check(tmp_path, sums)


def test_without_a_broker_kafka_is_left_out_loudly(
    bench: sections.Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    sections.kafka(bench)
    assert "LEFT OUT: kafka: none is asked for here" in capsys.readouterr().out
    sections.engines(bench)
    assert "LEFT OUT: engines: " in capsys.readouterr().out


def test_what_is_not_installed_is_named(
    bench: sections.Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(http_clients.shutil, "which", lambda name, path=None: None)
    monkeypatch.setattr(sections, "syslog_ng", lambda: None)
    assert len(http_clients.candidates("http://127.0.0.1:9", 100, bench.place())) == 2
    assert sections.syslog(Path("stream"), "url", 1, 1) == []
    shown = capsys.readouterr().out
    for name in ("wrk", "hey", "syslog-ng"):
        assert f"LEFT OUT: {name} is not installed" in shown


@pytest.mark.slow
def test_steady_rates_and_idleness_print_a_row_per_case(
    bench: sections.Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(rates, "FIRSTS", 2)
    monkeypatch.setattr(rates, "SILENCE_SECS", 0.1)
    monkeypatch.setattr(rates, "syslog_ng", lambda: None)
    sections.SECTIONS["steady"](bench)
    sections.SECTIONS["idle"](bench)
    shown = capsys.readouterr().out
    assert "file, 200/s" in shown
    assert "LEFT OUT: steady rates from Kafka: none is asked for here" in shown
    assert "LEFT OUT: syslog-ng is not installed" in shown
    assert "% of a core" in shown


def test_the_cpu_of_all_that_a_program_starts_is_counted() -> None:
    burn = "import time\nwhile time.process_time() < 0.2: pass"
    start = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {burn!r}]); input()"
    with Popen([sys.executable, "-c", start], stdin=PIPE, start_new_session=True) as program:
        until(lambda: measure.session_cpu_secs(program.pid) > 0.15)
        program.communicate(b"\n")


def test_quick_changes_how_much_is_measured_and_nothing_else(tmp_path: Path) -> None:
    whole = sections.Bench(tmp_path, "http://127.0.0.1:9")
    short = suite.quick(whole)
    assert (short.rounds, short.origin, short.folder) == (1, whole.origin, whole.folder)
    assert short.events < whole.events


def test_figures_are_medians_and_ratios_are_taken_round_by_round(capsys: pytest.CaptureFixture[str]) -> None:
    slow, fast = Candidate("slow", [], 100), Candidate("fast", [], 50)
    slow.runs = [Run(0.01 * speed, 0.02 * speed, 10**12, 100) for speed in (1, 2, 9)]
    fast.runs = [Run(0.001 * speed, 0.002 * speed, 2 * 10**12, 50) for speed in (1, 2, 9)]
    measure.show("title", [slow, fast], "event", against="slow")
    rows = {line.split()[0]: line.split()[1:] for line in capsys.readouterr().out.splitlines()[4:]}
    assert rows == {
        "slow": ["200.0", "2,500", "1000000"],
        "fast": ["40.0", "12,500", "2000000", "0.20", "5.00"],
    }


def test_a_baseline_is_compared_row_by_row(capsys: pytest.CaptureFixture[str]) -> None:
    before = {"a: x": {"cpu_us": 10.0, "per_sec": 100.0}, "gone": {"cpu_us": 1.0, "per_sec": 1.0}}
    measure.compare(json.loads(json.dumps(before)), {"a: x": {"cpu_us": 5.0, "per_sec": 150.0}, "new": {}})
    assert capsys.readouterr().out.splitlines()[2].split() == ["a:", "x", "0.50", "1.50"]


def test_a_candidate_that_fails_says_why() -> None:
    broken = Candidate("broken", [sys.executable, "-c", "raise SystemExit('no such file')"], 1)
    with pytest.raises(RuntimeError, match=r"broken failed \(1\):\nno such file"):
        measure.run_once(broken)


def test_a_candidate_that_hangs_is_ended() -> None:
    hanging = Candidate("hanging", ["sleep", "60"], 1)
    with pytest.raises(RuntimeError, match=r"hanging failed \(-9\)"):
        measure.run_once(hanging, timeout_secs=0.1)


def test_the_rate_of_a_job_that_never_ends_counts_neither_start_nor_the_last_commit() -> None:
    assert watch.rate(0.0, [(5.0, 100), (6.0, 300), (7.0, 500), (9.0, 600)]) == 200
    assert watch.rate(0.0, [(4.0, 100), (5.0, 500)]) == 100, "too few to tell"


def test_watching_a_job_that_is_gone_ends() -> None:
    with Popen([sys.executable, "-c", ""], stdout=PIPE) as ended:
        ended.wait()
    with pytest.raises(ProcessLookupError):
        watch.watch(Path("nowhere"), 1, ended.pid)


def test_wrk_and_hey_are_believed_only_where_every_answer_was_good() -> None:
    run = Run(1.0, 2.0, 0, 64)
    assert http_clients.of_wrk("  123 requests in 1.50s, 2MB read", run) == Run(1.0, 1.5, 0, 123)
    assert http_clients.of_hey("  [200]\t64 responses\n", run) == run
    with pytest.raises(RuntimeError):
        http_clients.of_wrk("123 requests in 1.5s\nNon-2xx or 3xx responses: 3", run)
    with pytest.raises(RuntimeError):
        http_clients.of_hey("  [200]\t63 responses\n", run)
