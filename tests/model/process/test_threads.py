"""What is asked of the system and of Python for one thread."""

from __future__ import annotations

import ctypes
import subprocess
import sys
import threading

import pytest

from pipeline.model.process.threads import USUAL_SECS, allow_late, stay_known
from tests.kit.programs.ports import free_port

PR_GET_TIMERSLACK = 30

FLOW = """
import sys, threading
import bytewax.operators as op
from bytewax._bytewax import cluster_main
from bytewax.dataflow import Dataflow
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from bytewax.testing import TestingSink
from pipeline.model.process.threads import stay_known

own = threading.local()


class Part(StatefulSourcePartition):
    def next_batch(self):
        print(getattr(own, "kept", "lost"))
        raise StopIteration

    def snapshot(self):
        return None


class Source(FixedPartitionedSource):
    def list_parts(self):
        if sys.argv[2] == "known":
            stay_known()
        own.kept = "kept"
        return ["one"]

    def build_part(self, *_):
        return Part()


flow = Dataflow("flow")
op.output("out", op.input("in", flow, Source()), TestingSink([]))
cluster_main(flow, [f"127.0.0.1:{sys.argv[1]}"], 0)
"""


@pytest.mark.parametrize(("who", "found"), [("known", "kept"), ("unknown", "lost")])
def test_a_thread_that_python_has_not_begun_keeps_what_is_its_own(who: str, found: str) -> None:
    command = [sys.executable, "-c", FLOW, str(free_port()), who]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (said.returncode, said.stdout.split()) == (0, [found]), said.stderr


def test_the_main_thread_is_known_anyway() -> None:
    stay_known()
    assert threading.current_thread() is threading.main_thread()


@pytest.mark.skipif(sys.platform != "linux", reason="no other system has it")
def test_waits_may_end_late_until_that_is_taken_back() -> None:
    get = ctypes.CDLL(None).prctl

    def look() -> list[int]:
        allow_late(0.005)
        late = get(PR_GET_TIMERSLACK, 0, 0, 0, 0)
        allow_late()
        return [late, get(PR_GET_TIMERSLACK, 0, 0, 0, 0)]

    found: list[int] = []
    thread = threading.Thread(target=lambda: found.extend(look()))
    thread.start()
    thread.join()
    assert found == [5_000_000, int(USUAL_SECS * 1e9)]
