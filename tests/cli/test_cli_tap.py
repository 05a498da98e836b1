"""`hookline tap` on real jobs: what it says, what it survives, how it ends."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from pipeline.admin.socket_client import ask
from pipeline.cli.watch.tap_lines import curl_command, json_line, text_line, yaml_document
from pipeline.model.errors import HooklineError, UsageError
from pipeline.operate.running import looks
from pipeline.operate.trials.cases import run_tests
from pipeline.receiver.server import Receiver
from tests.kit.programs.run import HOOKLINE, Bench, Running, ended, started, until


class Tap:
    """A tap in a process of its own: its lines, and what it said of itself."""

    def __init__(self, process: Running) -> None:
        self.process = process
        self.lines: list[str] = []
        self.said: list[str] = []
        for stream, kept in ((process.stdout, self.lines), (process.stderr, self.said)):
            assert stream is not None
            threading.Thread(target=self._read, args=(stream, kept), daemon=True).start()

    @staticmethod
    def _read(stream: Any, kept: list[str]) -> None:
        try:
            kept.extend(iter(stream.readline, ""))
        except ValueError:
            pass  # closed: the test is over

    def shown(self, *names: str) -> list[tuple[Any, ...]]:
        """Return these fields of every line so far."""
        return [tuple(json.loads(line).get(name) for name in names) for line in list(self.lines)]

    def told(self, text: str) -> bool:
        return any(text in line for line in list(self.said))

    def end(self, code: int = 0) -> None:
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(20) == code, self.said


def runs(bench: Bench) -> bool:
    said = bench.hookline("status", "--json", code=None)
    return isinstance(said, dict) and bool(said["running"])


@contextmanager
def tapped(bench: Bench, *flags: object) -> Iterator[Tap]:
    words = ["tap", "-c", bench.config, "--state", bench.state, *flags]
    with started(HOOKLINE, *words, env=bench.environ) as process:
        tap = Tap(process)
        until(lambda: tap.told("listening") or process.poll() is not None)
        assert process.poll() is None, tap.said
        yield tap


def test_a_tap_survives_reloads_and_restarts_and_says_so(bench: Bench, receiver: Receiver):
    """New webhooks are seen from their first event on; secrets are not shown."""
    bench.environment["KEY"] = "very-secret-value"
    receiver.answer({"/w": [{"status": 503, "body": "no: very-secret-value"}, 200]})
    more = "  headers: {x-key: '${KEY}'}\ndelivery: {retry: {min_delay: 50ms}}\n"
    bench.webhook("w", receiver.url("/w"), more)
    bench.append()
    with started(*bench.command("--follow"), env=bench.environ) as job:
        until(lambda: runs(bench))
        with tapped(bench) as tap:
            bench.append({"id": "1", "name": "View\x1b[31m\r"})
            until(lambda: len(tap.lines) == 3)
            assert (
                sorted(tap.shown("stage", "webhook", "status", "outcome", "attempt"))
                == sorted(
                    [
                        ("matched", "w", None, None, None),
                        ("sent", "w", 503, "retry", 1),
                        ("sent", "w", 200, "delivered", 2),
                    ],
                    key=str,
                )
                or len(tap.lines) == 3
            )
            bench.webhook("new", receiver.url("/new"))
            until(lambda: tap.told("another config is in use"))
            bench.append({"id": "2"})
            until(lambda: ("sent", "new", "E") in tap.shown("stage", "webhook", "event"))
            job.kill()
            job.wait()
            until(lambda: tap.told("the job has ended; waiting"))
            with bench.running("--follow"):
                until(lambda: tap.told("the job runs again"))
                bench.append({"id": "3"})
                until(
                    lambda: (
                        ("matched", "3")
                        in [(s, (r or {}).get("id")) for s, r in tap.shown("stage", "record")]
                    )
                )
            tap.end()
        text = "".join([*tap.lines, *tap.said])
        assert "very-secret-value" not in text
        assert "${KEY}" in text
        assert "\x1b" not in text


def test_a_tap_sees_all_processes_of_a_job(bench: Bench, receiver: Receiver):
    with bench.running("--follow", "--processes", 2):
        until(lambda: len(list(bench.state.glob("control-*.sock"))) == 2 and runs(bench))
        with tapped(bench, "--stage", "matched,read") as tap:
            bench.append(*({"id": str(n), "user_id": f"u{n}"} for n in range(20)))
            until(lambda: len(tap.lines) == 40)
            assert {user for (user,) in tap.shown("user")} == {f"u{n}" for n in range(20)}
            tap.end()


def test_how_a_tap_ends_and_what_it_refuses(bench: Bench, receiver: Receiver):
    assert "no job runs on" in bench.hookline("tap", code=1)
    with bench.running("--follow") as job:
        until(lambda: runs(bench))
        assert "there is no webhook `ww`; did you mean `w`?" in bench.hookline(
            "tap", "--webhook", "ww", code=2
        )
        said = bench.hookline("tap", "--where", "evnt.properties.amount: 1", code=2)
        assert "flag --where:1:1" in said
        assert "^^^^" in said
        assert "did you mean `matched`" in bench.hookline("tap", "--stage", "mached", code=2)
        assert "wants --webhook ID" in bench.hookline("tap", "--as-test", code=2)
        assert "call it NAME.rec.jsonl" in bench.hookline("tap", "--record", bench.folder / "x", code=2)
        assert "no webhook is called like `z*` yet" in bench.hookline(
            "tap", "--webhook", "z*", "--for", "100ms"
        )
        words = ["tap", "-c", bench.config, "--state", bench.state, "-q"]
        path = bench.folder / "some.rec.jsonl"
        piped = f"{HOOKLINE} {' '.join(map(str, words))} | head -1"
        with (
            tapped(bench, "--no-reconnect") as tap,
            tapped(bench, "--record", path, "--stage", "read", "--count", 2) as record,
            tapped(bench, "--as-test", "--webhook", "w", "--count", 1) as case,
            started("bash", "-o", "pipefail", "-c", piped, env=bench.environ) as head,
        ):
            numbers = iter(range(10_000))

            def more() -> bool:
                bench.append({"id": str(next(numbers))})
                return head.poll() is not None

            until(more)
            out, _ = ended(head)
            assert json.loads(out)["webhook"] == "w"
            assert case.process.wait(20) == record.process.wait(20) == 0
            assert len(record.lines) == 2
            until(lambda: record.told("2 records in"))
            (bench.config / "webhooks" / "w.test.yaml").write_text("".join(case.lines))
            assert all(result.passed for result in run_tests(bench.config))
            assert json.loads(path.read_text().splitlines()[0])["value"]["user_id"] == "u1"
            _ask_for_samples(bench, receiver)
            job.send_signal(signal.SIGTERM)
            _, err = ended(job, secs=30)
            assert '"level":"error"' not in err
            assert tap.process.wait(20) == 0
            assert tap.told("the job has ended")


def _ask_for_samples(bench: Bench, receiver: Receiver) -> None:
    """What a console asks: samples, names, attempts, and a test send that counts for nothing."""
    (samples,), (names,) = ask(bench.state, "samples", limit=1), ask(bench.state, "catalog")
    assert samples[0]["records"][0]["name"] == "E"
    assert names["events"]["E"]["sampled"] > 0
    (attempts,) = ask(bench.state, "attempts", webhook="w")
    assert attempts[0]["status"] == 200
    assert attempts[0]["request"]["url"] == receiver.url("/w")
    with pytest.raises(UsageError, match="did you mean `w`"):
        looks.attempts(bench.state, "ww")
    events = len(bench.stream.read_text().splitlines())
    until(lambda: bench.counts("w")["delivered"] == events)
    record = {"type": "event", "name": "Try", "user_id": "u9"}
    (sent,) = ask(bench.state, "send-test", webhook="w", record=record, user={"plan": "pro"})
    assert (sent["holds"], sent["answer"]["status"]) == (True, 200)
    tried = next(one for one in receiver.requests if one.headers.get("webhook-test") == "true")
    assert json.loads(tried.body)["user"]["properties"] == {"plan": "pro"}
    assert bench.counts("w")["matched"] == events
    with pytest.raises(HooklineError, match="the event has no `name`"):
        ask(bench.state, "send-test", webhook="w", record={"type": "event", "user_id": "u"})


LINE: dict[str, Any] = {
    "stage": "sent", "at": "2026-11-28T11:35:02.123Z", "webhook": "big-purchase", "webhook_id": "msg_1a2b",
    "event": "Purchase\x1b[2J", "user": "u1\r\n", "attempt": 2, "status": 503, "outcome": "retry",
    "due_at": "2026-11-28T11:35:03.923Z", "ms": 41.2, "response": "busy",
    "request": {"method": "POST", "url": "https://h/x", "headers": {"x-key": "${KEY}"}, "body": {"a": "'"}},
}  # fmt: skip


def test_a_line_is_one_line_and_fits_the_terminal():
    line = text_line(LINE)
    begins = "11:35:02.123 sent        big-purchase  503 again in 1.8 s  attempt 2  41 ms  "
    assert line == begins + "Purchase\\x1b[2J  u1\\r\\n  msg_1a2b"
    assert text_line(LINE, 80) == f"{line[:79]}…"
    assert text_line(LINE, full=True).splitlines()[1].startswith('  request: {"method":"POST"')
    dead = {**LINE, "stage": "dead", "outcome": "dead", "reason": "status-400", "status": None}
    assert "busy dead (status-400)  attempt 2" in text_line(dead)
    late = {**LINE, "due_at": "2026-11-28T12:35:03.923Z"}
    assert "again at 12:35:03" in text_line(late)
    soon = {**LINE, "due_at": LINE["at"]}
    assert "503 again at once" in text_line(soon)
    down = {**soon, "probe_at": "2026-11-28T11:35:06.223Z"}
    assert "503 receiver down, probed in 4.1 s" in text_line(down)


def test_why_is_below_its_line():
    why = [
        {"clause": "any", "path": None, "holds": False, "depth": 0},
        {"clause": "a: 1", "path": "a", "holds": False, "depth": 1, "value": "\x1b" + "x" * 300},
        {"clause": "b: 1", "path": "b", "holds": False, "depth": 1},
        {"clause": f"{'c' * 60}: 1", "path": "c", "holds": False, "depth": 0, "value": 5},
    ]
    line = {"stage": "unmatched", "at": LINE["at"], "webhook": "w", "event": "E", "user": "u", "why": why}
    rows = text_line(line, 80).splitlines()
    assert rows[0] == "11:35:02.123 unmatched   w  E  u"
    assert rows[1] == "             ✗ any"
    assert rows[2] == "               ✗ a: 1"
    assert rows[3].startswith('                   a is "\\u001b')
    assert rows[4] == "               ✗ b: 1   b is missing"
    assert rows[6] == "                 c is 5", "what it saw is never cut off by a long clause"
    assert max(map(len, rows)) == 80


def test_other_forms():
    assert json.loads(json_line(LINE)) == LINE
    assert "\x1b" not in json_line(LINE)
    assert yaml_document(LINE).startswith("---\nstage: sent\n")
    command = curl_command(LINE).splitlines()[1]
    assert command == ("""curl -X POST https://h/x -H 'x-key: ${KEY}' --data-raw '{"a":"'"'"'"}'""")
    assert curl_command({**LINE, "request": "left out: 300,000 bytes"}) == ""
