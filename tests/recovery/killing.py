"""A job that is killed and started again, and what must be true of it afterwards."""

from __future__ import annotations

import json
import os
import random
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zlib import crc32

from pipeline.deliver.lanes.disk.refill import SLICE
from pipeline.outbox.reading.dead_letter_json import as_json_value
from pipeline.outbox.reading.view import accounting, dead_letters
from tests.kit.programs.forge import Child, forge
from tests.kit.programs.jobs import ALTER, PARTITIONS
from tests.kit.programs.run import until
from tests.kit.receivers.receiver import Arrivals
from tests.recovery.failing import KILLED

WEBHOOKS = {
    "plain": "trigger: {events: [Purchase]}\nrequest:\n  url: {url}/plain\n"
    "  body: {event: '{{ event }}', user: '{{ user }}'}\n",
    "joined": "trigger:\n  events: '*'\n  where: [{user.properties.plan: pro}]\n"
    "request:\n  url: {url}/joined\n  body: {n: '{{ event.properties.n }}', "
    "plan: '{{ user.properties.plan }}', seen: '{{ user.properties.seen }}'}\n",
    "flaky": "trigger: {events: [Visit]}\nrequest: {url: '{url}/flaky'}\n"
    "delivery: {retry: {min_delay: 10ms, max_delay: 50ms}}\n",
    "refused": "trigger:\n  events: [Visit]\n  where: [{event.properties.n: {lt: 400}}]\n"
    "request: {url: '{url}/refused'}\n",
    "changed": "trigger: {changes: [plan]}\nrequest:\n  url: {url}/changed\n"
    "  body: {user: '{{ user.id }}', was: '{{ user.before.plan }}', is: '{{ user.properties.plan }}'}\n",
    "limited": "trigger: {events: '*'}\nlimit: {per: user, count: 2, every: 1h}\n"
    "request: {url: '{url}/limited', body: {n: '{{ event.properties.n }}'}}\n",
    "ordered": "trigger: {events: [Purchase]}\nrequest:\n  url: {url}/ordered\n"
    "  body: {user: '{{ user.id }}', guest: '{{ user.anonymous_id }}', n: '{{ event.properties.n }}'}\n"
    "delivery: {ordering: per_user}\n",
    "unrenderable": "trigger: {events: [Visit]}\nrequest:\n  url: {url}/unrenderable\n"
    "  missing: dead_letter\n  body: {coupon: '{{ event.properties.coupon }}'}\n",
}
"""One webhook per way a request can go."""

CONCURRENCY = 8

Kill = tuple[str, str, int]
"""A function (or "durable"), before or after it, or once results were journalled after it ("posted"), and
which of its calls."""

STORE = "pipeline.store.store:Store."
COMMIT = STORE + "_end"
"""Of the shards it is called by several threads at the same time."""

SOME_SHARDS_AHEAD: Kill = (COMMIT, "posted", 7)
"""With three shards and one identity store this is in the middle of an epoch's commits; journals of the next
one have begun."""


def answer(path: str, attempt: int, body: bytes) -> int:
    """Answer as a receiver of that name would; the same in every run."""
    if path == "/flaky" and attempt == 1 and crc32(body) % 5 == 0:
        return 503  # not too many: it would be taken for an outage
    return 400 if path == "/refused" else 200


def make_stream(path: Path, events: int, seed: int = 7, *, of: str = "") -> None:
    """Write a stream of users, events, links, invalid lines; the same for the same numbers.

    of: what its users' names begin with.
    """
    dice = random.Random(seed)
    with path.open("w") as file:
        for n in range(events):
            user = f"{of}u{dice.randrange(40)}"
            kind = dice.random()
            line: dict[str, Any]
            if kind < 0.15:
                line = {
                    "type": "user",
                    "user_id": user,
                    "set": {"plan": dice.choice(["free", "pro", "team"])},
                }
            elif kind < 0.2:
                line = {"type": "user", "anonymous_id": f"{of}a{dice.randrange(30)}", "set_once": {"seen": n}}
            elif kind < 0.22:
                line = {"type": "identify", "anonymous_id": f"{of}a{dice.randrange(30)}", "user_id": user}
            elif kind < 0.23:
                line = {"type": "nonsense", "n": n}
            else:
                name = "Purchase" if kind < 0.6 else "Visit"
                line = {"type": "event", "name": name, "time": 1_750_000_000 + n, "properties": {"n": n}}
                line["user_id" if dice.random() < 0.8 else "anonymous_id"] = user
                if dice.random() < 0.9:
                    line["properties"]["coupon"] = f"c{n}"
            file.write(json.dumps(line) + "\n")


@dataclass
class Outcome:
    """What a job has done in all its runs, in a form that compares."""

    requests: dict[str, tuple[str, bytes]]
    """webhook-id to path and body."""
    counters: dict[str, int]
    letters: set[tuple[Any, ...]]


def flat(counters: Mapping[str, Any]) -> dict[str, int]:
    """Return the accounting as one flat map: differences then read well."""
    return {
        f"{name}/{field}": number
        for name, fields in [("records", counters["records"]), *counters["webhooks"].items()]
        for field, number in fields.items()
    }


@dataclass
class Trial:
    """One state directory, its stream and its receiver."""

    receiver: Arrivals
    folder: Path
    epoch: str = "30ms"
    shards: int = 3
    memory: int = SLICE + 20
    """Deliveries that a lane may hold: few, so that the disk is used."""
    altered: dict[str, int] = field(default_factory=dict)
    """Constants of modules that its process takes instead."""
    unsettled: set[tuple[str, int]] = field(default_factory=set)
    """(id, attempt) of what may be sent twice."""
    kills: int = 0
    elsewhere: dict[str, str] = field(default_factory=dict)
    """Where to send instead what is addressed to a place."""
    partitions: dict[str, str] = field(default_factory=dict)
    """Source partitions and their files, in place of the stream."""
    process: Child = field(init=False)

    def prepare(self, stream: Path, webhooks: Sequence[str] = tuple(WEBHOOKS)) -> None:
        """Write the config and place the stream."""
        (self.folder / "config" / "webhooks").mkdir(parents=True)
        self.stream.symlink_to(stream)
        (self.folder / "config" / "pipeline.yaml").write_text(
            f"network: {{allow: [127.0.0.0/8]}}\nepoch: {self.epoch}\nshards: {self.shards}\n"
            f"delivery: {{concurrency: {CONCURRENCY}}}\nlog: {{level: warning, format: json}}\n"
        )
        for name in webhooks:
            text = f"id: {name}\n" + WEBHOOKS[name].replace("{url}", self.receiver.url(""))
            (self.folder / "config" / "webhooks" / f"{name}.yaml").write_text(text)

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def stream(self) -> Path:
        return self.folder / "stream.jsonl"

    def words(self) -> list[str]:
        """Return the job's command line, without the command."""
        words = (
            "run",
            "-c",
            self.folder / "config",
            "--state",
            self.state,
            "--source",
            self.stream,
            "--json",
        )
        return list(map(str, words))

    def start(self, *kills: Kill, off: Sequence[str] = ()) -> Child:
        """Start the job with failpoints."""
        err = self.folder / "stderr"
        err.unlink(missing_ok=True)
        before: dict[str, Any] = {
            ALTER: {"pipeline.deliver.lanes.lane:MAX_ENTRIES": self.memory} | self.altered,
            "tests.recovery.failing:send_elsewhere": self.elsewhere,
            "tests.recovery.failing:fail": {"kills": kills, "off": off},
        }
        if self.partitions:
            before[PARTITIONS] = self.partitions
        out = self.folder / "stdout"
        self.process = forge().start(self.words(), os.environ, out, err, before=before)
        return self.process

    def wait(self, since: int) -> int:
        """Wait for the end of a run; note what may be sent twice where it was killed."""
        code = self.process.wait()
        if code == KILLED:
            self.note_kill(since)
        return code

    def note_kill(self, since: int) -> None:
        """Note what may be sent twice after a kill."""
        self.kills += 1
        # What the job has written to its sockets may still be on its way.
        until(lambda: not any(number >= since for number in self.receiver.connections))
        self.unsettled |= self.receiver.unsettled(since)

    def run(self, *kills: Kill, off: Sequence[str] = ()) -> int:
        """Run the job once; return its exit code."""
        since = self.receiver.accepted
        self.start(*kills, off=off)
        return self.wait(since)

    def said(self) -> str:
        return (self.folder / "stderr").read_text()[:2000]

    def outcome(self) -> Outcome:
        """Return what all runs did; a second body under one id is an error."""
        requests: dict[str, tuple[str, bytes]] = {}
        for arrival in self.receiver.arrivals:
            sent = (arrival.path, arrival.body)
            assert requests.setdefault(arrival.id, sent) == sent, "one id with two bodies"
        letters = {
            (
                letter.kind,
                letter.request.webhook_id,
                letter.request.message_id,
                letter.reason,
                letter.origin,
                as_json_value(letter)["request"]["body"],
                letter.progress.status,
                letter.progress.attempt,
            )
            for _, letter in dead_letters(self.state)
        }
        return Outcome(requests, flat(accounting(self.state)), letters)

    def duplicates(self) -> list[tuple[str, int]]:
        """Return (id, attempt) of each request that came although it had been sent already."""
        seen: set[tuple[str, int]] = set()
        found = []
        for arrival in self.receiver.arrivals:
            which = (arrival.id, arrival.attempt)
            if which in seen:
                found.append(which)
            seen.add(which)
        return found

    def check_order(self) -> None:
        """Per user the requests of the ordered webhook came in the order of the stream."""
        latest: dict[str, int] = {}
        for arrival in self.receiver.arrivals:
            if arrival.path == "/ordered" and arrival.status == 200:
                body = json.loads(arrival.body)
                user = body["user"] or f"guest {body['guest']}"
                # Sent again after a kill is as good as sent late; something newer must not have gone before.
                if (arrival.id, arrival.attempt) not in self.unsettled:
                    assert body["n"] > latest.get(user, -1), f"{user} out of order at {body['n']}"
                latest[user] = max(latest.get(user, -1), body["n"])


@contextmanager
def trial(receiver: Arrivals, **more: Any) -> Iterator[Trial]:
    """Give a new trial in a folder of its own, with an empty receiver."""
    receiver.begin(answer)
    folder = Path(tempfile.mkdtemp(prefix="hookline-kill-"))
    try:
        yield Trial(receiver, folder, **more)
    finally:
        shutil.rmtree(folder)


@contextmanager
def new_trial(receiver: Arrivals, stream: Path, **more: Any) -> Iterator[Trial]:
    """Give a new trial with all webhooks on a stream."""
    with trial(receiver, **more) as found:
        found.prepare(stream)
        yield found


def name(kill: Kill) -> str:
    """Return a short name of a point to die at."""
    place, when, nth = kill
    return f"{when}-{place.rpartition('.')[2].replace(':', '.')}-{nth}".lstrip("-")


def check(one: Trial, undisturbed: Outcome) -> None:
    """The job has ended: everything is as if it had never died."""
    outcome = one.outcome()
    changed = outcome.counters.items() - undisturbed.counters.items()
    assert not changed
    assert outcome.requests == undisturbed.requests
    assert outcome.letters == undisturbed.letters
    again = set(one.duplicates()) - one.unsettled
    assert not again, f"sent again although the result was written down: {again}"
    one.check_order()
