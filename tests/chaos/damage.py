"""A state directory killed in mid-run, damaged in some way, and what a run and `state check` make of it."""

from __future__ import annotations

import json
import random
import shutil
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.receiver.server import Receiver
from tests.kit.programs.jobs import Job
from tests.kit.programs.run import Bench, until

SETTINGS = "{network: {allow: [127.0.0.0/8]}, epoch: 300ms, shards: 2}"
BODY = "  body: {n: '{{ event.properties.n }}', plan: '{{ user.properties.plan }}', config: %s}\n"
PATIENT = "delivery: {retry: {min_delay: 300ms, max_delay: 500ms}}\n"
EVENTS, MORE = 60, 120

Damage = Callable[[Path], object]
"""What happens to a state directory."""


def answers() -> dict[str, list[int]]:
    return {"/w": [200], "/owed": [503], "/refused": [400], "/gone": [410]}


@dataclass(slots=True)
class Killed:
    """What a killed job has left, of which every trial damages a copy."""

    bench: Bench
    receiver: Receiver
    bodies: dict[str, bytes] = field(default_factory=dict)
    """What was sent before the kill."""

    def copy(self, folder: Path) -> Bench:
        """Return a bench of its own, on the same stream, as the kill has left it."""
        shutil.copytree(
            self.bench.folder, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.sock")
        )
        self.receiver.answer({"*": [200]})
        self.receiver.requests.clear()
        return Bench(folder, SETTINGS)

    def check_sent(self) -> None:
        """Whatever was sent is right, and the same under the same id as before the kill."""
        bodies = dict(self.bodies)
        for request in self.receiver.requests:
            assert bodies.setdefault(request.message_id, request.body) == request.body, request
            said = json.loads(request.body)
            assert said["plan"] == plan_of(said["n"]), request


def plan_of(n: int) -> str:
    return f"plan-{n // 2}"


def append(bench: Bench, first: int, last: int) -> None:
    """Append events, every second one after an update of its user."""
    for n in range(first, last):
        if n % 2 == 0:
            for user in (n % 6, n % 6 + 1):
                bench.update(f"u{user}", plan=plan_of(n))
        bench.append({"id": f"e{n}", "user_id": f"u{n % 6}", "properties": {"n": n}})


def write(bench: Bench, receiver: Receiver, config: str) -> None:
    for name in ("w", "owed", "refused", "gone"):
        bench.webhook(name, receiver.url(f"/{name}"), BODY % config + PATIENT)


def killed(folder: Path, receiver: Receiver) -> Killed:
    """Run a job over two config versions, kill it between two commits, and leave it commands."""
    receiver.answer(answers())
    bench = Bench(folder, SETTINGS)
    write(bench, receiver, "first")
    append(bench, 0, EVENTS)
    with Job(bench) as job:
        until(lambda: bench.counts("w")["delivered"] == EVENTS)
        write(bench, receiver, "second")
        until(lambda: in_use(bench, job))
        append(bench, *next_of(bench, to=MORE))
        until(lambda: any(json.loads(one.body)["n"] == MORE - 1 for one in list(receiver.requests)))
        job.kill()
    bench.hookline("dlq", "replay", "--all")
    bench.hookline("webhook", "disable", "refused")
    found = Killed(bench, receiver)
    for request in receiver.requests:
        assert found.bodies.setdefault(request.message_id, request.body) == request.body
    return found


def in_use(bench: Bench, job: Job) -> bool:
    """Return whether the job has taken another config version, which it does with the next event."""
    append(bench, *next_of(bench))
    return "config version in use" in job.said


def next_of(bench: Bench, to: int | None = None) -> tuple[int, int]:
    first = sum('"event"' in line for line in bench.stream.read_text().splitlines())
    return first, to or first + 1


@dataclass(slots=True)
class Seen:
    """What a run and `state check` made of a damaged directory."""

    code: int
    said: str
    checked: int
    listed: str


def tried(killed: Killed, folder: Path, damage: Damage) -> Seen:
    """Damage a copy, check it, run it to its end, and once more where a signal has ended it."""
    bench = killed.copy(folder)
    damage(bench.state)
    listed = bench.hookline("state", "check", code=None)
    checked = 3 if "error: " in listed else 0
    with Job(bench, follow=False) as job:
        code = job.process.wait(60)
    if code in (-signal.SIGABRT, -signal.SIGSEGV, -signal.SIGBUS):
        with Job(bench, follow=False) as job:
            code = job.process.wait(60)
    killed.check_sent()
    assert "Traceback" not in job.said, job.said
    assert "bug of Hookline" not in job.said + listed, job.said + listed
    return Seen(code, job.said, checked, listed)


def at_random(dice: random.Random) -> tuple[str, Damage]:
    """Return a damage of some file, and its name: a bit, some bytes or a page; zeros, garbage or a cut."""
    kind = dice.choice(("bit", "bit", "zeros", "garbage", "cut"))
    place, length, noise = dice.random(), dice.choice((1, 16, 4096)), dice.randbytes(4096)
    pick, bit = dice.random(), 1 << dice.randrange(8)
    name = f"{kind} at {place:.3f}"

    def damage(state: Path) -> None:
        files = sorted(path for path in state.rglob("*") if path.is_file() and path.stat().st_size)
        files = [path for path in files if path.name not in ("lock", "owner.lock", "peers", "recovery.lock")]
        path = files[int(pick * len(files))]
        data = bytearray(path.read_bytes())
        at = int(place * len(data))
        if kind == "bit":
            data[at] ^= bit
        elif kind == "cut":
            del data[at:]
        else:
            if length == 4096:
                at -= at % 4096
            end = min(len(data), at + length)
            data[at:end] = bytes(end - at) if kind == "zeros" else noise[: end - at]
        path.write_bytes(data)
        NAMED.append(str(path.relative_to(state)))

    return name, damage


NAMED: list[str] = []
"""The files that were damaged, in their order."""


def damages(folder: Path, *, seeds: range) -> str:
    """Damage a killed state in as many ways as there are seeds; return what came of it."""
    came: Counter[str] = Counter()
    with Receiver(answers()) as receiver:
        (folder / "killed").mkdir()
        left = killed(folder / "killed", receiver)
        for seed in seeds:
            name, damage = at_random(random.Random(seed))
            place = folder / str(seed)
            try:
                seen = tried(left, place, damage)
                assert seen.code in (0, 3), seen
                assert seen.code == 0 or seen.checked == 3 or "do not belong" in seen.said, seen
            except BaseException as failed:
                raise AssertionError(f"seed {seed}, {name} of {NAMED[-1]}: {failed}") from failed
            came[f"exit {seen.code}, check {seen.checked}"] += 1
            shutil.rmtree(place)
    return f"{len(seeds)} damages from seed {seeds.start} on: {dict(came)}; nothing wrong was sent"
