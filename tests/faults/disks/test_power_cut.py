"""A power cut of a real file system (ext4), and a disk that cannot sync: nothing is lost or spoilt."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.receiver.server import Receiver
from tests.kit.machine.file_system import FileSystem, file_system
from tests.kit.programs.jobs import BOOT, Job, accounted, event_of, ids
from tests.kit.programs.run import Bench, until

PER_ROUND = 60
SETTINGS = "{network: {allow: [127.0.0.0/8]}, epoch: 100ms, shards: 2, disk_reserve: 1}"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[FileSystem]:
    with file_system(tmp_path) as made:
        if isinstance(made, str):
            pytest.skip(made)
        yield made


class OnDisk(Bench):
    """A bench whose state is on the file system whose power is cut; its stream is not."""

    @property
    def state(self) -> Path:
        return self.folder / "mounted" / "state"


def events(first: int, last: int) -> list[dict[str, object]]:
    return [{"id": f"e{n}", "user_id": f"u{n}", "properties": {"n": n}} for n in range(first, last)]


def test_power_cuts_from_the_first_start_on_lose_nothing(
    tmp_path: Path, disk: FileSystem, receiver: Receiver
) -> None:
    bench = OnDisk(tmp_path, SETTINGS)
    # At once, in the first moments, and with epochs behind it: half a minute unsynced files stay in memory.
    for cut, delivered in enumerate((0, 1, PER_ROUND, PER_ROUND // 2)):
        bench.webhook("w", receiver.url("/w"), f"  body: {{event: '{{{{ event }}}}', cut: {cut}}}\n")
        bench.append(*events(cut * PER_ROUND, (cut + 1) * PER_ROUND))
        least = len(ids(receiver.requests)) + delivered
        with Job(bench, before={BOOT: cut}) as job:
            wait(bench, job, receiver, least)
            job.send_signal(signal.SIGSTOP)
            disk.shut_down()
            job.kill()
            disk.restart()
    with Job(bench, follow=False, before={BOOT: 4}) as job:
        job.ended()
    count = 4 * PER_ROUND
    assert {event_of(request)["n"] for request in receiver.requests} == set(range(count))
    counts = accounted(bench)["w"]
    assert counts["matched"] == counts["delivered"] == count
    bodies: dict[str, bytes] = {}
    for request in receiver.requests:
        assert bodies.setdefault(request.message_id, request.body) == request.body, "an id with two bodies"
    bench.hookline("state", "check")


def wait(bench: Bench, job: Job, receiver: Receiver, least: int) -> None:
    """Wait until there is a state, and so many events have arrived."""

    def came() -> bool:
        assert job.runs(), job.said
        return bench.state.exists() and len(ids(receiver.requests)) >= least

    until(came)


BROKEN = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
static int calls;
static int fails(void) {
    const char *at = getenv("FAIL_SYNC");
    return at && __sync_add_and_fetch(&calls, 1) == atoi(at) ? (errno = EIO, 1) : 0;
}
int fsync(int file) {
    static int (*real)(int);
    if (!real) real = dlsym(RTLD_NEXT, "fsync");
    return fails() ? -1 : real(file);
}
int fdatasync(int file) {
    static int (*real)(int);
    if (!real) real = dlsym(RTLD_NEXT, "fdatasync");
    return fails() ? -1 : real(file);
}
"""
"""Lets one sync of a process fail, whoever asks for it: Python, LMDB or SQLite."""


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("gcc") is None:
        pytest.skip("letting a sync fail needs gcc")
    folder = tmp_path_factory.mktemp("shim")
    (folder / "broken.c").write_text(BROKEN)
    words = ["gcc", "-shared", "-fPIC", "-o", folder / "broken.so", folder / "broken.c", "-ldl"]
    subprocess.run([*map(str, words)], check=True, capture_output=True, timeout=60)
    return folder / "broken.so"


LONG = [pytest.param(number, marks=pytest.mark.slow) for number in range(1, 60)]


@pytest.mark.parametrize("failing", [4, 19, *LONG])
def test_a_sync_that_fails_loses_nothing(
    tmp_path: Path, receiver: Receiver, shim: Path, failing: int
) -> None:
    bench = Bench(tmp_path, SETTINGS)
    bench.webhook("w", receiver.url("/w"))
    bench.append(*events(0, PER_ROUND))
    bench.environment |= {"LD_PRELOAD": str(shim), "FAIL_SYNC": str(failing)}
    with Job(bench, follow=False, fresh=True) as job:
        code = job.process.wait(60)
        assert code in (0, 3, 4), job.said
        assert "Traceback" not in job.said
    bench.environment.clear()
    with Job(bench, follow=False, before={BOOT: 4}) as job:
        job.ended()
    counts = accounted(bench)["w"]
    assert counts["matched"] == counts["delivered"] == PER_ROUND
    assert {event_of(request)["n"] for request in receiver.requests} == set(range(PER_ROUND))
