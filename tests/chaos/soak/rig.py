"""A whole installation: `hookline up` (collector, job, console), taps at it, receivers, people at work."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.receiver.server import Receiver
from tests.chaos.soak.feed import Feed
from tests.chaos.soak.sample import Sample, disk, figures, processes, rows
from tests.kit.programs.jobs import accounted, event_of, ids, quantile
from tests.kit.programs.ports import free_port, free_ports_in_a_row
from tests.kit.programs.run import HOOKLINE, Bench, until

ILLS: tuple[object, ...] = ("hang", 500, "reset", {"delay_secs": 3}, 200)
"""What the sick receiver answers, one window after the other."""
TOKEN = "soak"
PAGES = (
    "/",
    "/webhooks",
    "/dead-letters",
    "/pending",
    "/events",
    "/webhooks/load",
    "/audit",
    "/api/v1/status",
)
QUICK = "delivery: {timeout: 5s, retry: {min_delay: 200ms, max_delay: 2s}}\n"
PATIENT = "delivery: {timeout: 5m}\n"
"""Of a receiver that is well: what it gets twice was sent twice, not given up on a slow machine."""
BLOCKS = Path(__file__).with_name("blocks")
SLOW_SECS = 300.0
"""How long anything may take on a slow machine before it counts as broken."""
BUSY = 10
"""So many answers of the console in a row that ask to come again are too many."""
GUEST_EDITS = 5
"""One edit in so many brings a new webhook, and takes the one before it away."""


@dataclass(slots=True)
class Rig:
    """What runs, and what was done to it so far."""

    bench: Bench
    receiver: str
    probed: Receiver
    metrics: str
    console: int
    pids: dict[str, int] = field(default_factory=dict)
    edits: int = 0
    looks: int = 0
    seen: list[float] = field(default_factory=list)
    """Seconds that ends of epochs took, since the last sample."""
    worked: list[float] = field(default_factory=list)
    """Seconds that the same piece of work took, since then."""
    busy: int = 0
    """Answers of the console that asked to come again."""

    def edit(self) -> None:
        """Change the config: by the file, by the console, to something broken, to another set of webhooks."""
        self.edits += 1
        n = self.edits
        folder = self.bench.config / "webhooks"
        if n % GUEST_EDITS == 0:
            (folder / f"guest-{n - GUEST_EDITS}.yaml").unlink(missing_ok=True)
            self.webhook(f"guest-{n}", "load", events="[Load]")
        elif n % GUEST_EDITS == 1:
            self.bench.write("extra", f"trigger: {{events: [Extra]}}\nrequest: {{url: {n}, bdy: }}\n")
        elif n % 2:
            self.webhook("load", "load", events="[Load, Sick, Probe, Dead]", note=n)
        else:
            self.webhook("extra", "load", events="[Extra]")
            self.by_console(n)

    def webhook(
        self, id: str, path: str, *, events: str, note: int = 0, url: str = "", more: str = QUICK
    ) -> None:
        """Write a webhook's file in one step, as editors do."""
        place = self.bench.config / "webhooks" / f"{id}.yaml"
        text = (
            f"id: {id}\ndescription: edit {note}\ntrigger: {{events: {events}}}\n"
            f"request: {{url: {url or f'{self.receiver}/{path}'}}}\n{more}"
        )
        partial = place.with_suffix(".partial")
        partial.write_text(text)
        partial.replace(place)

    def by_console(self, n: int) -> None:
        """Save a webhook, pause another one and let it go on, as a program with a token does."""
        _, etag, _ = self.ask("GET", "/api/v1/webhooks/load")
        change = [{"op": "set", "path": "description", "value": f"edit {n}"}]
        self.ask("PATCH", "/api/v1/webhooks/load", json.dumps(change), {"If-Match": etag})
        for order in ("pause", "resume"):
            self.ask("POST", f"/api/v1/webhooks/extra/{order}")

    def look(self) -> None:
        """Open the next page of the console, and ask for the metrics."""
        self.looks += 1
        status, _, body = self.ask("GET", PAGES[self.looks % len(PAGES)])
        assert status in (200, 503), body[:1000]
        self.busy = self.busy + 1 if status == 503 else 0
        assert self.busy < BUSY, body[:1000]
        self.worked.append(piece_of_work(self.bench.folder))
        self.seen.append(figures(self.metrics)["hookline_epoch_commit_seconds"])

    def ask(
        self, method: str, path: str, body: str | None = None, more: dict[str, str] | None = None
    ) -> tuple[int, str, bytes]:
        """Return status, etag and body of an answer of the console."""
        connection = http.client.HTTPConnection("127.0.0.1", self.console, timeout=SLOW_SECS)
        with contextlib.closing(connection):
            headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json", **(more or {})}
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.headers.get("etag", ""), answer.read()

    def answer(self, script: dict[str, object]) -> None:
        """Let the receiver answer otherwise."""
        body = json.dumps({"/dead": 404, "*": 200, **script}).encode()
        request = urllib.request.Request(f"{self.receiver}/_receiver/script", data=body, method="PUT")
        with urllib.request.urlopen(request, timeout=SLOW_SECS):
            pass

    def sample(self, at_secs: float, ill: object) -> Sample:
        """Look at everything."""
        folder = self.bench.folder
        counts = accounted(self.bench)
        took = [(r.at - event_of(r)["at"]) * 1000 for r in self.probed.requests] or [0.0]
        assert max(ids(self.probed.requests).values(), default=1) == 1, "the probe got a request twice"
        self.probed.requests.clear()
        epochs = [each * 1000 for each in self.seen] or [0.0]
        self.seen.clear()
        worked = [each * 1000 for each in self.worked] or [0.0]
        self.worked.clear()
        return Sample(
            at_secs,
            str(ill),
            processes(self.pids, folder / "blocks"),
            disk(self.bench.state, folder / "kept", folder / "logs"),
            {
                "owed": sum(each["pending"] for each in counts.values()),
                "dead letters": rows(self.bench.state, "dead"),
                "users": rows(self.bench.state, "users"),
                "versions": len(list((self.bench.state / "versions").glob("*.config"))),
                "webhooks": len(counts),
            },
            {
                "p50": quantile(took, 0.5), "p99": quantile(took, 0.99),
                "epoch p50": quantile(epochs, 0.5), "epoch most": max(epochs),
                "machine": quantile(worked, 0.5),
            },
        )  # fmt: skip


@contextlib.contextmanager
def rig(folder: Path) -> Iterator[Rig]:
    """Start all of it; SIGTERM at its end must end it with 0."""
    for name in ("blocks", "logs", "config/webhooks"):
        (folder / name).mkdir(parents=True)
    listen, console = free_port(), free_port()
    metrics = free_ports_in_a_row()
    (folder / "tokens").write_text(f"editor soak {hashlib.sha256(TOKEN.encode()).hexdigest()}\n")
    (folder / "token").write_text(TOKEN)
    settings = (
        f"network: {{allow: [127.0.0.0/8]}}\nshards: 4\ndead_letters: {{max_bytes: 1MiB}}\n"
        f"collect: {{listen: 127.0.0.1:{listen}, keys: any, segment: 1MiB, to: {{recording: ../kept}}}}\n"
        f"console: {{listen: 127.0.0.1:{console}, tokens: ../tokens}}\n"
    )
    bench = Bench(folder, settings, is_collected=True)
    (bench.config / "pipeline.yaml").write_text(settings)
    environment = bench.environ | {
        "SOAK_BLOCKS": str(folder / "blocks"),
        "PYTHONPATH": os.pathsep.join([str(BLOCKS), *filter(None, [os.environ.get("PYTHONPATH")])]),
    }
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(receiving(folder))
        probed = stack.enter_context(Receiver({"*": [200]}))
        found = Rig(bench, url, probed, f"127.0.0.1:{metrics}", console)
        found.webhook("load", "load", events="[Load, Sick, Probe, Dead]")
        found.webhook("sick", "sick", events="[Sick]")
        found.webhook("dead", "dead", events="[Dead]")
        found.webhook("extra", "load", events="[Extra]")
        found.webhook("probe", "", events="[Probe]", url=probed.url("/probe"), more=PATIENT)
        found.answer({})

        def start(name: str, *words: object) -> subprocess.Popen[bytes]:
            with (folder / "logs" / name).open("wb") as log:
                out = subprocess.DEVNULL if name.startswith("tap") else log
                command = [str(HOOKLINE), *map(str, words)]
                process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=out, stderr=log, env=environment
                )
            stack.callback(process.wait, 30)
            stack.callback(process.kill)
            found.pids[name] = process.pid
            return process

        common = ("-c", bench.config, "--state", bench.state)
        up = start("up", "up", *common, "--metrics", found.metrics, "--log-format", "json")
        until(lambda: _answers(found, up, folder / "logs" / "up"), secs=SLOW_SECS)
        start("tap", "tap", *common, "--json", "--stage", "matched,unmatched,sent,dead")
        start(
            "tap by console",
            "tap",
            "--url",
            f"http://127.0.0.1:{console}",
            "--token-file",
            folder / "token",
            "--json",
        )
        yield found
        up.terminate()
        assert up.wait(SLOW_SECS) == 0, (folder / "logs" / "up").read_text()[-4000:]


def _answers(found: Rig, up: subprocess.Popen[bytes], log: Path) -> bool:
    assert up.poll() is None, log.read_text()[-4000:]
    try:
        figures(found.metrics)
        return found.ask("GET", "/api/v1/status")[0] == 200
    except OSError:
        return False


@contextlib.contextmanager
def receiving(folder: Path) -> Iterator[str]:
    """Run a receiver in a process of its own; give its URL."""
    said = folder / "receiver"
    words = [str(HOOKLINE), "receiver", "--listen", "127.0.0.1:0", "--quiet", "--control"]
    with said.open("w") as out:
        process = subprocess.Popen(words, stderr=out, stdout=out)
    try:
        yield until(lambda: said.read_text().partition("listening on ")[2].strip(), secs=SLOW_SECS)
    finally:
        process.terminate()
        process.wait(10)


def piece_of_work(folder: Path) -> float:
    """Return how long the machine takes for what is always the same: some computing, and a sync."""
    began = time.monotonic()
    for _ in range(20):
        hashlib.sha256(bytes(1 << 16)).digest()
    with (folder / "work").open("wb") as file:
        file.write(bytes(4096))
        file.flush()
        os.fsync(file.fileno())
    return time.monotonic() - began


def settled(left: Callable[[], int]) -> None:
    """Wait until nothing is left, however long that takes while it becomes less."""
    least, since = left(), time.monotonic()
    while least:
        time.sleep(0.5)  # the job has work to do
        now = left()
        if now < least:
            least, since = now, time.monotonic()
        assert time.monotonic() - since < SLOW_SECS, f"{now} left, and it does not become less"


def soak(
    folder: Path,
    *,
    windows: int,
    window_secs: float,
    rate: float,
    edit_secs: float,
    show: Callable[[str], None] = print,
) -> list[Sample]:
    """Run it; raises AssertionError where something is lost or the accounting does not add up."""
    samples: list[Sample] = []
    with rig(folder) as found:
        port = int(found.bench.settings.partition("listen: 127.0.0.1:")[2].partition(",")[0])
        with Feed(port, rate) as feed:
            begun = next_edit = next_look = time.monotonic()
            for window in range(windows):
                ill = ILLS[window % len(ILLS)]
                found.answer({"/sick": ill})
                until_secs = time.monotonic() + window_secs
                while (now := time.monotonic()) < until_secs:
                    assert not feed.failed, feed.failed
                    if now >= next_edit:
                        found.edit()
                        next_edit = now + edit_secs
                    if now >= next_look:
                        found.look()
                        next_look = now + min(2.0, edit_secs)
                    time.sleep(0.05)  # the pace is the input, nothing is waited for
                samples.append(found.sample(time.monotonic() - begun, ill))
                show(samples[-1].rows())
        found.answer({})
        read = feed.sent.total()
        settled(lambda: read - found.bench.status()["records"]["events"])
        found.bench.hookline("outbox", "retry-now", "--webhook", "sick")
        settled(lambda: sum(each["pending"] for each in accounted(found.bench).values()))
        done = accounted(found.bench)
    for name, (matched, end) in {
        "load": (read, "delivered"),
        "sick": (feed.sent["Sick"], "delivered"),
        "probe": (feed.sent["Probe"], "delivered"),
        "dead": (feed.sent["Dead"], "dead"),
    }.items():
        assert (done[name]["matched"], done[name][end]) == (matched, matched), (name, done[name])
    return samples
