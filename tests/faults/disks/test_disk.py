"""Disks that fill up: the job says so, stops or waits, and nothing is lost once there is room again."""

from __future__ import annotations

import errno
import os
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.receiver.server import Receiver
from tests.kit.programs.jobs import Job, accounted, event_of, ids, ready
from tests.kit.programs.run import HOOKLINE, Bench, finished, until

EVENTS = 1500
BODY = "x" * 4000
HANG_ON = "delivery: {timeout: 60s, retry: {min_delay: 100ms, max_delay: 1s}}\n"


class Disk:
    """A small file system in memory, for the state directory of one test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def mount(self, options: str) -> None:
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", self.folder], check=True)

    def grow(self, size: str) -> None:
        self.mount(f"remount,size={size}")

    def ballast(self, megabytes: int) -> None:
        """Take so much room; 0: give it back."""
        path = self.folder / "ballast"
        path.unlink(missing_ok=True)
        if megabytes:
            path.write_bytes(b"\0" * (megabytes << 20))

    def fill(self) -> None:
        """Take all the room there is."""
        ballast = os.open(self.folder / "ballast", os.O_WRONLY | os.O_CREAT)
        try:
            while True:
                os.write(ballast, b"\0" * 4096)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
        finally:
            os.close(ballast)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[str], Disk]]:
    if os.geteuid():
        pytest.skip("mounting a small disk needs root; CI runs as root")
    folder = tmp_path / "disk"
    folder.mkdir()
    made = Disk(folder)

    def mounted(size: str) -> Disk:
        try:
            made.mount(f"size={size}")
        except subprocess.CalledProcessError:
            pytest.skip("this machine does not let root mount a tmpfs (a container without CAP_SYS_ADMIN)")
        return made

    yield mounted
    subprocess.run(["umount", "-l", folder], check=False, capture_output=True)


class OnDisk(Bench):
    """A bench whose state is on the small disk."""

    @property
    def state(self) -> Path:
        return self.folder / "disk" / "state"


def bench_of(folder: Path, url: str, reserve: str) -> OnDisk:
    bench = OnDisk(
        folder, f"{{network: {{allow: [127.0.0.0/8]}}, epoch: 200ms, shards: 2, disk_reserve: {reserve}}}"
    )
    bench.webhook("w", url, HANG_ON)
    return bench


def events(bench: Bench, count: int = EVENTS) -> None:
    bench.append(
        *({"id": f"e{n}", "user_id": f"u{n}", "properties": {"n": n, "body": BODY}} for n in range(count))
    )


def check_all(bench: Bench, receiver: Receiver, count: int = EVENTS) -> None:
    """Everything arrived, and is accounted for exactly."""
    assert accounted(bench)["w"] == {
        "matched": count, "delivered": count, "dead": 0, "pending": 0, "suppressed": 0
    }  # fmt: skip
    assert {event_of(request)["n"] for request in receiver.requests} == set(range(count))


@pytest.mark.parametrize(
    "size", ["1m", "3m", *(pytest.param(f"{kib}k", marks=pytest.mark.slow) for kib in range(600, 7000, 400))]
)
def test_a_full_disk_stops_the_job_and_with_room_the_next_start_goes_on(
    tmp_path: Path, disk: Callable[[str], Disk], size: str
):
    """The receiver is down, so that everything read must be written; the sizes end in different places."""
    small = disk(size)
    with Receiver({"*": [503]}) as receiver:
        bench = bench_of(tmp_path, receiver.url("/w"), "1")
        events(bench)
        with Job(bench) as job:
            job.ended(4)
            assert "nothing is lost" in job.said.lower()
            assert "disk space" in job.said
        with Job(bench) as job:
            # There is still no room: it says so again, and breaks nothing.
            job.ended(4)
        small.grow("200m")
        receiver.answer({"*": [200]})
        failed = len(receiver.requests)
        with Job(bench, follow=False) as job:
            summary = job.ended(0)
        assert summary["webhooks"]["w"]["delivered"] == EVENTS
        check_all(bench, receiver)
        assert set(ids(receiver.requests[failed:]).values()) == {1}


def test_a_disk_that_is_full_while_everything_is_delivered_loses_and_repeats_little(
    tmp_path: Path, disk: Callable[[str], Disk]
):
    """Nothing waits, so what fills the disk is the journal and the job's own bookkeeping."""
    small = disk("24m")
    with Receiver({"*": [200]}) as receiver:
        bench = bench_of(tmp_path, receiver.url("/w"), "1")
        with Job(bench) as job:
            ready(bench, job)
            events(bench, 300)
            until(lambda: bench.counts("w")["delivered"] == 300)
            small.fill()
            bench.append(
                *({"id": f"e{n}", "user_id": f"u{n}", "properties": {"n": n}} for n in range(300, 900))
            )
            job.ended(4)
            assert "disk space" in job.said
        small.ballast(0)
        with Job(bench, follow=False) as job:
            job.ended()
        check_all(bench, receiver, 900)


def test_below_the_reserve_reading_pauses_and_goes_on_with_room(tmp_path: Path, disk: Callable[[str], Disk]):
    small = disk("64m")
    with Receiver({"*": [200]}) as receiver:
        bench = bench_of(tmp_path, receiver.url("/w"), "16MiB")
        bench.stream.touch()
        with Job(bench, "--metrics", "0") as job:
            ready(bench, job)
            small.ballast(56)
            until(lambda: "disk is nearly full" in job.said)
            assert metric(job, 'hookline_source_paused{reason="disk"}') == 1
            events(bench, 200)
            small.ballast(0)
            until(lambda: "disk has room again" in job.said)
            until(lambda: bench.counts("w")["delivered"] == 200)
            assert metric(job, 'hookline_source_paused{reason="disk"}') == 0
            job.stop()
        check_all(bench, receiver, 200)


def metric(job: Job, name: str) -> float:
    """Return a metric of the running job."""
    port = job.said.partition('"address":"127.0.0.1:')[2].partition('"')[0]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    return float(next(line for line in lines if line.startswith(name + " ")).rpartition(" ")[2])


def test_a_full_disk_without_lmdbs_lock_files_is_told_as_one_and_damages_nothing(
    tmp_path: Path, disk: Callable[[str], Disk]
):
    """They are written through memory, and may be left out of a backup: a signal would end the process."""
    small = disk("8m")
    with Receiver({"*": [503]}) as receiver:
        bench = bench_of(tmp_path, receiver.url("/w"), "1")
        events(bench, 20)
        with Job(bench) as job:
            until(lambda: bench.counts("w")["pending"] == 20)
            job.stop()
    for lock in bench.state.glob("*/*/lock.mdb"):
        lock.unlink()
    small.fill()
    for words, code in ((("status",), 0), (("state", "check"), 4), (("run", "--source", bench.source), 4)):
        where = ("-c", bench.config, "--state", bench.state)
        _, said = finished(HOOKLINE, *words, *where, code=code, env=bench.environ)
        assert ("is full" in said) or not code
