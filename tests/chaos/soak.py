"""`make soak`: half of the full rate for long, one receiver sick again and again, and what must stay flat.

    python -m tests.chaos.soak --minutes 30 [--rate EVENTS_PER_SEC] [--folder DIR]

Prints a row per window: memory, open files, size of the state directory, what is owed, and the time from an
event's writing to its arrival, of a webhook whose receiver is well. Ends with what has grown, and exit code 1
if something has.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.receiver.server import Receiver
from tests.kit.jobs import Job, accounted, event_of, ids, quantile, ready, state_bytes
from tests.kit.run import HOOKLINE, Bench, until

USERS = 1000
SICK_SHARE, PROBE_SHARE = 50, 100
"""One event in so many fires the sick webhook, one in so many the probe."""
ILLS: tuple[object, ...] = ("hang", 500, "reset", {"delay_secs": 3}, 200)
"""What the sick receiver answers, one window after the other."""
CALIBRATION = 30_000
"""Events of the run that measures the full rate."""
SETTINGS = "{network: {allow: [127.0.0.0/8]}, shards: 4}"


@dataclass(slots=True, frozen=True)
class Sample:
    """One window; sizes in bytes, times in milliseconds."""

    at_secs: float
    rate: float
    rss: int
    descriptors: int
    state: int
    pending: int
    p50: float
    p99: float
    sick: str

    HEAD = "    secs   deliveries/s   RSS MiB   files   state MiB   pending   p50 ms   p99 ms   sick receiver"

    def row(self) -> str:
        return (
            f"{self.at_secs:8.0f} {self.rate:14,.0f} {self.rss / 2**20:9.1f} {self.descriptors:7} "
            f"{self.state / 2**20:11.1f} {self.pending:9,} {self.p50:8.1f} {self.p99:8.1f}   {self.sick}"
        )


def soak(
    folder: Path, *, secs: float, window_secs: float, rate: float, show: Callable[[str], None] = print
) -> list[Sample]:
    """Run it; raises AssertionError where something is lost or the accounting does not add up."""
    with receiving(folder) as (url, answer), Receiver({"*": [200]}) as probed:
        bench = Bench(folder, SETTINGS)
        quick = "delivery: {timeout: 5s, retry: {min_delay: 200ms, max_delay: 2s}}\n"
        bench.webhook("load", f"{url}/load", quick, "[Load, Sick, Probe]")
        bench.webhook("sick", f"{url}/sick", quick, "[Sick]")
        bench.webhook("probe", probed.url("/probe"), quick, "[Probe]")
        samples: list[Sample] = []
        with Job(bench, "--log-level", "error", fresh=True) as job:
            ready(bench, job)
            show(Sample.HEAD)
            begun = seen_at = time.monotonic()
            written = delivered = 0
            while (passed := time.monotonic() - begun) < secs:
                ill = ILLS[len(samples) % len(ILLS)]
                answer({"/sick": ill, "*": 200})
                written = write(bench, written, rate, begun, min(secs, passed + window_secs))
                counts = accounted(bench)
                now, total = time.monotonic(), sum(each["delivered"] for each in counts.values())
                took = [(r.at - event_of(r)["at"]) * 1000 for r in probed.requests] or [0.0]
                assert max(ids(probed.requests).values(), default=1) == 1
                probed.requests.clear()
                samples.append(
                    Sample(
                        now - begun,
                        (total - delivered) / (now - seen_at),
                        job.rss(),
                        job.descriptors(),
                        state_bytes(bench.state),
                        sum(each["pending"] for each in counts.values()),
                        quantile(took, 0.5),
                        quantile(took, 0.99),
                        str(ill),
                    )
                )
                seen_at, delivered = now, total
                show(samples[-1].row())
            answer({"*": 200})
            bench.hookline("outbox", "retry-now", "--webhook", "sick")
            until(lambda: bench.status()["records"]["read"] == written, secs=120)
            until(lambda: not any(each["pending"] for each in accounted(bench).values()), secs=120)
            job.stop()
        wanted = {
            "load": written,
            "sick": number_of(written, SICK_SHARE),
            "probe": number_of(written, PROBE_SHARE),
        }
        for name, found in accounted(bench).items():
            assert found == dict.fromkeys(found, 0) | {"matched": wanted[name], "delivered": wanted[name]}
    return samples


def write(bench: Bench, written: int, rate: float, begun: float, until_secs: float) -> int:
    """Append events at the rate until so long after the beginning; return how many there are now."""
    with bench.stream.open("a") as stream:
        while (passed := time.monotonic() - begun) < until_secs:
            while written < passed * rate:
                name = "Load"
                if written % SICK_SHARE == 0:
                    name = "Sick"
                elif written % PROBE_SHARE == 1:
                    name = "Probe"
                event = {
                    "type": "event", "id": f"e{written}", "name": name, "user_id": f"u{written % USERS}",
                    "properties": {"n": written, "at": time.time()},
                }  # fmt: skip
                stream.write(json.dumps(event) + "\n")
                written += 1
            stream.flush()
            time.sleep(0.01)  # the rate is the input, nothing is waited for
    return written


def number_of(written: int, share: int) -> int:
    """Return how many of the events are the sick webhook's, or the probe's."""
    first = 0 if share == SICK_SHARE else 1
    return len(range(first, written, share))


@contextlib.contextmanager
def receiving(folder: Path) -> Iterator[tuple[str, Callable[[dict[str, object]], None]]]:
    """Run a receiver in a process of its own; give its URL and what changes its answers."""
    said = folder / "receiver"
    words = [str(HOOKLINE), "receiver", "--listen", "127.0.0.1:0", "--quiet", "--control"]
    with said.open("w") as out:
        process = subprocess.Popen(words, stderr=out, stdout=out)
    try:
        url = until(lambda: said.read_text().partition("listening on ")[2].strip())

        def answer(script: dict[str, object]) -> None:
            body = json.dumps(script).encode()
            request = urllib.request.Request(f"{url}/_receiver/script", data=body, method="PUT")
            with urllib.request.urlopen(request, timeout=10):
                pass

        yield url, answer
    finally:
        process.terminate()
        process.wait(10)


def full_rate(folder: Path) -> float:
    """Return the events per second of a recording that is read as fast as it goes."""
    with receiving(folder) as (url, _):
        bench = Bench(folder, SETTINGS)
        bench.webhook("load", f"{url}/load")
        bench.append(
            *({"id": f"e{n}", "user_id": f"u{n % USERS}", "properties": {"n": n}} for n in range(CALIBRATION))
        )
        summary = bench.run()
        assert summary["webhooks"]["load"]["delivered"] == CALIBRATION
        return CALIBRATION / float(summary["elapsed_secs"])


def grown(samples: list[Sample]) -> list[str]:
    """Return what is not flat: the last third compared with the second one."""
    third = len(samples) // 3
    if third < 2:
        return []
    middle, last = samples[third : 2 * third], samples[-third:]

    def pair(of: Callable[[Sample], float], how: Callable[[list[float]], float]) -> tuple[float, float]:
        return how([of(each) for each in middle]), how([of(each) for each in last])

    found = []
    for name, (before, after), factor, slack in (
        ("memory (MiB)", pair(lambda s: s.rss / 2**20, statistics.median), 1.1, 10),
        ("open files", pair(lambda s: s.descriptors, max), 1.1, 16),
        ("state directory (MiB)", pair(lambda s: s.state / 2**20, max), 1.25, 8),
        ("p99 (ms)", pair(lambda s: s.p99, statistics.median), 2.0, 10),
    ):
        if after > before * factor + slack:
            found.append(f"{name} went from {before:.1f} to {after:.1f}")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--window", type=float, default=30, help="seconds between two rows")
    parser.add_argument(
        "--rate", type=float, help="events per second; by default half of what a short run reaches"
    )
    parser.add_argument(
        "--folder", type=Path, help="where state and stream go; by default a temporary folder"
    )
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hookline-soak-", dir=given.folder) as made:
        folder = Path(made)
        rate = given.rate
        if rate is None:
            (folder / "full").mkdir()
            full = full_rate(folder / "full")
            rate = full / 2
            print(f"full rate {full:,.0f} events/s; soaking at {rate:,.0f}")
        (folder / "soak").mkdir()
        samples = soak(
            folder / "soak",
            secs=given.minutes * 60,
            window_secs=given.window,
            rate=rate,
            show=lambda row: print(row, flush=True),
        )
    found = grown(samples)
    print("; ".join(found) if found else "flat: memory, open files, state directory, p99; nothing lost")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
