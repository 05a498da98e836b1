"""Config bombs: refused in time at every door, and while a job runs nobody's deliveries wait for it."""

from __future__ import annotations

import gc
import io
import itertools
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from pathlib import Path

import pytest

from pipeline.cli.app import run
from pipeline.compile.snapshot import compile_config
from pipeline.config.files import ConfigText, read_config
from pipeline.config.webhooks import MAX_VALUES
from pipeline.language.secrets import Secrets
from pipeline.model.errors import ConfigError
from pipeline.model.process.bounds import Bounds, bounded
from pipeline.model.process.exits import Exit
from pipeline.receiver.server import Receiver
from tests.kit.programs.run import Bench, until

HEAD = "id: a\ntrigger: {events: [X]}\n"
REQUEST = "request:\n  url: https://x.example/in\n"
HOOK = HEAD + REQUEST


def where(clause: str) -> str:
    return HEAD.replace("[X]}", f"[X], where: [{clause}]}}") + REQUEST


def numbered(pattern: str, count: int, between: str = "") -> str:
    return between.join(pattern.replace("#", str(number)) for number in range(count))


MANY = MAX_VALUES + 100
RAW = "{% raw %}x{% endraw %}" * 2_900

BOMBS: dict[str, Callable[[], dict[str, str]]] = {
    "unions of unions": lambda: {
        "a": HOOK,
        "l0": "name: L0\nany:\n" + numbered("  - {events: [e#]}\n", 10),
        **{f"l{at}": f"name: L{at}\nany:\n" + f"  - {{events: [L{at - 1}]}}\n" * 10 for at in range(1, 7)},
    },
    "ranges of constants": lambda: {"a": HOOK + "  body: '" + "{{ (1..9999) | size }}" * 2_900 + "'\n"},
    "a text full of tags": lambda: {"a": HOOK + f"  body: '{RAW}'\n"},
    "deep lists": lambda: {"a": HOOK + "  body: " + "[" * 100_000 + "\n"},
    "a line of blanks": lambda: {"a": HOOK + "  a: [" + " " * 900_000 + "x\n"},
    "16 MiB of line ends": lambda: {"a": "\n" * (16 << 20)},
    "16 MiB on one line": lambda: {"a": "a: " + "x" * ((16 << 20) - 3)},
    "fields that nobody knows": lambda: {"a": HOOK + numbered("zz#: 1\n", MAX_VALUES - 20)},
    "a list of numbers": lambda: {"a": where(f"{{event.id: {{in: [{numbered('#', MANY, ',')}]}}}}")},
    "many keys": lambda: {"a": HOOK + "  body:\n" + numbered("    k#: '{{ event.id }}'\n", MANY)},
    "many slips": lambda: {"a": HOOK + numbered("  a: @# [\n", MANY)},
    "many headers": lambda: {"a": HOOK + "  headers:\n" + numbered("    H#: x\n", MANY)},
    "many settings": lambda: {"a": HOOK + "vars:\n" + numbered("  v#: ${V#:-x}\n", MANY)},
    "long globs": lambda: {"a": where("{event.id: {glob: '" + "*a" * 300_000 + "'}}")},
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
@pytest.mark.timeout(120)
def test_a_bomb_is_refused_or_taken_in_a_moment(tmp_path: Path, bomb: Callable[[], dict[str, str]]) -> None:
    for folder in ("webhooks", "labels"):
        (tmp_path / folder).mkdir()
    for name, text in bomb().items():
        (tmp_path / ("labels" if name.startswith("l") else "webhooks") / f"{name}.yaml").write_text(text)
    began = time.process_time()
    report = compile_config(read_config(tmp_path, environ={}), secrets=Secrets({}))
    took = time.process_time() - began
    assert took < 5.0, f"{took:.1f} s"  # half a second on a quiet machine
    assert len(report.render()) < 200_000


@pytest.fixture
def collected() -> Iterator[None]:
    """No collection inside: a signal that falls into a callback of one (Hypothesis has one) is lost there."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("collected")
def test_what_takes_longer_ends_with_the_file_and_the_remedy() -> None:
    heavy = HOOK + "  body:\n" + numbered(f"    k#: '{RAW}'\n", 15)
    text = ConfigText(
        {f"webhooks/{name}.yaml": heavy.replace("id: a", f"id: {name}") for name in "abcdefghijklmnop"}
    )
    few = Bounds(config_secs=0.1, more_secs=0)
    with pytest.raises(ConfigError) as caught, bounded(few, root="config"):
        compile_config(text, secrets=Secrets({}))
    assert ".yaml: error[config-too-expensive]" in str(caught.value)
    assert "more than 0.1 s" in str(caught.value)
    assert "list file" in str(caught.value)


def test_what_takes_more_memory_ends_so_too_and_what_was_there_is_given_back() -> None:
    listed = where("{event.id: {in: {file: ids}}}")
    text = ConfigText({"webhooks/a.yaml": listed, "ids": numbered("id-#\n", 2_000_000)})
    little = Bounds(memory_bytes=32 << 20)
    with pytest.raises(ConfigError, match=r"a\.yaml.*more than 32 MiB of memory"), bounded(little):
        compile_config(text, secrets=Secrets({}))
    assert len(bytearray(64 << 20)) == 64 << 20


CASES = "cases: [{name: n, events: [{name: X}], expect: none}]\n"


@pytest.mark.parametrize("verb", ["check", "test", "diff", "explain", "run"])
def test_every_verb_that_reads_a_config_says_so(
    verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.model.process.bounds.Allowance.begins", _soon_over)
    bench = Bench(tmp_path)
    bench.webhook("a", "https://x.example/")
    (bench.config / "webhooks/a.test.yaml").write_text(
        "cases: [{name: n, events: [{name: X}], expect: none}]\n"
    )
    bench.append({"id": "e"})
    words: dict[str, list[object]] = {
        "diff": [bench.config, bench.config, "--stream", bench.stream],
        "explain": ["--event", bench.stream, "-c", bench.config],
        "run": ["-c", bench.config, "--state", bench.state, "--source", bench.stream],
    }
    said = _said(verb, *words.get(verb, ["-c", bench.config]))
    assert "config-too-expensive" in said
    assert "processor time" in said


def _soon_over(self: object, file: str) -> None:
    """As if the file had used up all its time."""
    if file.endswith("a.yaml"):
        self.file = file  # type: ignore[attr-defined]  # a word of this test
        signal.raise_signal(signal.SIGXCPU)


def test_deliveries_go_on_while_bombs_are_saved_and_the_next_good_edit_counts(
    tmp_path: Path, receiver: Receiver
) -> None:
    bench = Bench(tmp_path)
    bench.webhook("watch", receiver.url("/watch"))
    over = threading.Event()

    def feed() -> None:
        for number in itertools.count():
            if over.wait(0.01):
                return
            bench.append({"id": f"e{number}"})

    def arrived() -> int:
        return len(receiver.requests)

    with bench.running() as job:
        feeder = threading.Thread(target=feed)
        feeder.start()
        try:
            until(lambda: arrived() > 100)
            longest = _Longest(arrived)
            for bomb, said in (
                ("fields that nobody knows", "more-problems"),
                ("16 MiB of line ends", "file-too-large"),
            ):
                (bench.config / "webhooks/b.yaml").write_text(BOMBS[bomb]()["a"])
                assert "webhooks/b.yaml" in longest.until(partial(_problems, bench, said))
            assert longest.secs < 2.5
            (bench.config / "webhooks/b.yaml").unlink()
            bench.webhook("watch", receiver.url("/again"))
            until(lambda: receiver.requests[-1].path == "/again")
            assert bench.status()["config"]["problems"] == ""
        finally:
            over.set()
            feeder.join()
        assert job.poll() is None


def _problems(bench: Bench, word: str) -> str:
    said = str(bench.status()["config"]["problems"])
    return said if word in said else ""


class _Longest:
    """The longest time without a request, seen from a thread beside."""

    def __init__(self, arrived: Callable[[], int]) -> None:
        self._arrived = arrived
        self.secs = 0.0

    def until(self, what: Callable[[], str]) -> str:
        over = threading.Event()

        def look() -> None:
            count, since = self._arrived(), time.monotonic()
            while not over.wait(0.005):
                now = time.monotonic()
                if self._arrived() != count:
                    count, since = self._arrived(), now
                self.secs = max(self.secs, now - since)

        looking = threading.Thread(target=look)
        looking.start()
        try:
            return until(what)
        finally:
            over.set()
            looking.join()


def _said(*words: object) -> str:
    """Run a verb in this process, which must end with exit code 1; return what it says."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        assert run([*map(str, words)]) == Exit.PROBLEMS
    return out.getvalue() + err.getvalue()
