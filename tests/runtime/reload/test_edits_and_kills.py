"""Edits and SIGKILLs at random instants: no event sees two versions, replays keep theirs, nothing is lost."""

from __future__ import annotations

import json
import os
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.config.files import ConfigText
from pipeline.receiver.received import Request
from pipeline.receiver.server import Receiver
from tests.kit.programs.forge import Child, forge
from tests.kit.programs.run import Bench, until


class Shifting:
    """A config directory that is swapped as a whole; version n has `a`, `b`, and `odd` where n is odd."""

    told = "{{ vars.version }}"

    def __init__(self, folder: Path, receiver: Receiver) -> None:
        folder.mkdir(exist_ok=True)
        self.bench = Bench(folder)
        self.receiver = receiver
        self.version = 0
        self.swap()

    def swap(self) -> None:
        """Put the next version in place, in one step."""
        self.version += 1
        version = self.bench.folder / f"config-{self.version}"
        (version / "webhooks").mkdir(parents=True)
        (version / "pipeline.yaml").write_text(self.bench.settings)
        for name in webhooks_of(self.version):
            (version / "webhooks" / f"{name}.yaml").write_text(
                f"id: {name}\nvars: {{version: {self.version}}}\ntrigger: {{events: '*'}}\n"
                f"request: {{url: '{self.receiver.url('/' + name)}',"
                f" body: {{n: '{{{{ event.properties.n }}}}', version: '{self.told}'}}}}\n"
            )
        self.beside(version)
        partial = self.bench.folder / "config.tmp"
        partial.symlink_to(version.name)
        os.replace(partial, self.bench.config)

    def beside(self, version: Path) -> None:
        """Put more into a version before it is in place."""


class ShiftingShape(Shifting):
    """The shape that reads the lines is another one in each version: it says which it is."""

    told = "{{ event.properties.version }}"

    def beside(self, version: Path) -> None:
        (version / "shapes").mkdir()
        (version / "shapes" / "own.yaml").write_text(
            "records:\n  event: {name: name, user_id: user_id, "
            f"properties: {{n: properties.n, version: {{text: {self.version}}}}}}}\n"
        )
        (version / "pipeline.yaml").write_text(
            "{network: {allow: [127.0.0.0/8]}, epoch: 200ms, shards: 2, "
            "source: {jsonl: {paths: [x.jsonl], format: own}}}"
        )


def webhooks_of(version: int) -> set[str]:
    return {"a", "b", "odd"} if version % 2 else {"a", "b"}


class Writer:
    """Appends events without a pause until it is stopped."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.written = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(0.004):
            numbers = range(self.written, self.written + 3)
            self.bench.append(*({"user_id": f"u{n % 30}", "properties": {"n": n}} for n in numbers))
            self.written += 3

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()


class Histories:
    """What the history files said at each kill: line to version, for the lines that had been handed out."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.of_line: dict[int, int] = {}

    def read(self) -> None:
        """Take in the files as they are; a line that they told before must not have changed."""
        folder = self.state / "source" / "recording"
        if not (folder / "switches").exists():
            return
        switches = [line.split(" ") for line in (folder / "switches").read_text().splitlines()]
        high = int.from_bytes((folder / "high-water").read_bytes()[:8], "little")
        bounds = [int(number) for number, _ in switches] + [high]
        for (start, name), end in zip(switches, bounds[1:], strict=True):
            version = self.number(name)
            for line in range(int(start), end):
                assert self.of_line.setdefault(line, version) == version, f"line {line} changed its version"

    def number(self, name: str) -> int:
        """Return the number of a version by its hash."""
        text = ConfigText.from_bytes((self.state / "versions" / f"{name}.config").read_bytes())
        return int(text.files["webhooks/a.yaml"].split("version: ")[1].split("}")[0])


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver({"*": {"delay_secs": 0.02}}) as receiver:
        yield receiver


def shift_and_kill(
    folder: Path,
    receiver: Receiver,
    *,
    kills: int,
    seed: int,
    processes: int = 1,
    kind: type[Shifting] = Shifting,
) -> None:
    dice = random.Random(seed)
    shifting = kind(folder, receiver)
    bench = shifting.bench
    histories = Histories(bench.state)
    writer = Writer(bench)
    try:
        for _ in range(kills):
            before = len(receiver.requests)
            job = follow(bench, processes)
            try:
                until(lambda: len(receiver.requests) > before + 60 or job.poll() is not None)  # noqa: B023  # asked before the next round
                for _ in range(dice.randrange(1, 3)):
                    shifting.swap()
                    until(lambda: arrived(receiver, shifting.version) or job.poll() is not None, secs=20)  # noqa: B023  # asked before the next round
                instant = time.monotonic() + dice.random() * 0.4
                shifting.swap()
                until(lambda: time.monotonic() > instant)  # noqa: B023  # asked before the next round
                assert job.poll() is None
            finally:
                end(job, processes)
            histories.read()
            if dice.random() < 0.7:
                shifting.swap()  # while the job is down
    finally:
        writer.stop()
    bench.run()
    histories.read()
    check(receiver.requests, histories, writer.written, kills)


def follow(bench: Bench, processes: int) -> Child:
    flags = ["--processes", processes] if processes > 1 else []
    log = bench.folder / "stderr"
    return forge().start(bench.command("--follow", *flags)[1:], os.environ, log, log)


def end(job: Child, processes: int) -> None:
    """Kill every process of the job."""
    children = Path(f"/proc/{job.pid}/task/{job.pid}/children").read_text().split() if processes > 1 else []
    for pid in map(int, children):
        os.kill(pid, 9)
    job.kill()
    job.wait()


def arrived(receiver: Receiver, version: int) -> bool:
    return any(json.loads(request.body)["version"] == version for request in receiver.requests[-50:])


def check(requests: list[Request], histories: Histories, written: int, kills: int) -> None:
    bodies: dict[str, bytes] = {}
    sent: dict[int, dict[str, int]] = {}
    for request in requests:
        assert bodies.setdefault(request.message_id, request.body) == request.body, "one id with two bodies"
        body = json.loads(request.body)
        sent.setdefault(body["n"], {})[request.path[1:]] = body["version"]
    assert sent.keys() == set(range(written)), "something was lost"
    for n, found in sent.items():
        versions = set(found.values())
        assert len(versions) == 1, (n, found)
        (version,) = versions
        assert set(found) == webhooks_of(version), (n, found)
        # The history forgets what no replay can need: what is known are the stretches around the kills.
        known = histories.of_line.get(n, version)
        assert version == known, (n, version, known)
    assert len(histories.of_line) > kills * 20
    assert len(set(histories.of_line.values())) > kills, "hardly any version was seen"


def test_versions_stay_whole_through_edits_and_kills(tmp_path: Path, receiver: Receiver):
    shift_and_kill(tmp_path, receiver, kills=3, seed=1)


def test_every_line_is_read_by_the_shape_of_its_version_through_edits_and_kills(
    tmp_path: Path, receiver: Receiver
):
    shift_and_kill(tmp_path, receiver, kills=1, seed=3, kind=ShiftingShape)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", [Shifting, ShiftingShape])
@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("seed", range(2, 6))
def test_versions_stay_whole_through_many_edits_and_kills(
    tmp_path: Path, receiver: Receiver, seed: int, processes: int, kind: type[Shifting]
):
    shift_and_kill(tmp_path, receiver, kills=8, seed=seed, processes=processes, kind=kind)
