"""A job of several processes on one machine: started together, stopped together, restarted together.

Each member runs `hookline run` with the hidden flag ``--member``. Members have sessions of their own: a
Ctrl-C or a signal to the group reaches this process alone, which passes it on: the first stops them cleanly,
a second ends them at once. Bytewax cannot go on without a member: when one is gone, all are ended, and none
outlives this process.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import TypedDict

import orjson

from pipeline.deliver.lanes.clock import keep_steady
from pipeline.model.errors import Fatal
from pipeline.model.process.exits import MEMBER_EXIT, Exit
from pipeline.model.process.lifeline import Lifeline
from pipeline.model.process.stop import handled_by, requested
from pipeline.runtime.mesh import look
from pipeline.telemetry import log

CAUSE_SECS = 0.3
"""How long to wait for the end of a process that is the cause of another's."""
END_SECS = 0.3
"""How long the others may then take to end before they are killed. They can finish no epoch any more, so a
clean stop is none: most do not even hear it."""
FIRST_WAIT_SECS = 0.5
LONGEST_WAIT_SECS = 60.0
FINAL = (Exit.PROBLEMS, Exit.USAGE, Exit.STATE)
"""What starting again does not cure."""
PORTS = range(20_000, 32_000)
MESH_SECS = 0.02
"""How often to look who is at the members' ports, until they have found one another."""
_log = log.get("group")


class Figures(TypedDict):
    """What the members of a job saw of a run, each of its own part."""

    latency_ms: dict[str, float]
    events_seen: list[str]


@dataclass(slots=True)
class Group:
    """The members of one start. ``words`` are the command line of ``hookline run``, without the program."""

    words: Sequence[str]
    processes: int
    members: list[subprocess.Popen[bytes]] = field(default_factory=list)
    outputs: dict[int, bytes] = field(default_factory=dict)
    stopping: bool = False
    lifeline: Lifeline = field(default_factory=Lifeline)
    """Ends the members with this process."""
    ports: Sequence[int] = ()
    """Where the members listen for one another; empty once they have found one another."""

    def start(self, environment: Mapping[str, str] = os.environ) -> None:
        """Start every member."""
        tied = dict(environment)
        self.lifeline.tie(tied)
        self.ports = free_ports(self.processes)
        addresses = ";".join(f"127.0.0.1:{port}" for port in self.ports)
        for number in range(self.processes):
            command = [sys.executable, "-m", "pipeline.cli", *self.words, "--member", f"{number}@{addresses}"]
            self.members.append(
                subprocess.Popen(
                    command,
                    # The one that owns a source partition reads it, for `--source -`.
                    stdin=subprocess.DEVNULL if sys.stdin is None or sys.stdin.isatty() else None,
                    stdout=subprocess.PIPE,
                    start_new_session=True,
                    env=tied,
                    pass_fds=self.lifeline.descriptors,
                )
            )

    def stop(self) -> None:
        """Ask every member to stop cleanly, or at once where it was asked before."""
        self.stopping = True
        self._signal(signal.SIGTERM)

    def wait(self) -> int:
        """Return when all members are gone: 0, or the exit code of the first that failed.

        Stopped before every member knew how to stop: nothing has begun, and that is no failure.
        """
        ended: list[tuple[int, int]] = []
        told = threading.Condition()

        def watch(number: int) -> None:
            self.outputs[number] = self.members[number].communicate()[0]
            with told:
                ended.append((number, self.members[number].returncode))
                told.notify()

        for number in range(self.processes):
            threading.Thread(target=watch, args=(number,), daemon=True).start()
        deadline: float | None = None
        failed: int | None = None
        with told:
            while len(ended) < self.processes:
                told.wait(MESH_SECS if self.ports else 0.2)
                if failed is None and self._has_strangers():
                    self._signal(signal.SIGKILL)
                    told.wait_for(lambda: len(ended) == self.processes)
                    return int(Exit.FATAL)
                if failed is None and self.stopping and any(code == -signal.SIGTERM for _, code in ended):
                    self._signal(signal.SIGKILL)  # the others wait for it to join them
                    told.wait_for(lambda: len(ended) == self.processes)
                    return 0
                if failed is None and any(code for _, code in ended):
                    # Its peers panic at once: a moment later it is known who was first, a kill before all.
                    told.wait_for(lambda: len(ended) == self.processes, CAUSE_SECS)
                    number, failed = min((one for one in ended if one[1]), key=_rank)
                    if failed != MEMBER_EXIT:
                        pid = self.members[number].pid
                        _log.error("a process ended", process=number, exit=failed, pid=pid)
                    if not self.stopping:
                        self.stop()
                    deadline = time.monotonic() + END_SECS
                if deadline is not None and time.monotonic() > deadline:
                    self._signal(signal.SIGKILL)
        return 0 if failed is None else failed if failed > 0 else int(Exit.FATAL)

    def _has_strangers(self) -> bool:
        """Return whether somebody else has come between the members while they look for one another."""
        seen = look(self.ports) if self.ports else None
        if seen is not None and seen.strangers:
            _log.error(
                "another user of this machine is at a port where the processes of the job find one another: "
                "ended before they take it for one of them",
                users=sorted(seen.strangers),
                remedy="run one process, or on a machine or in a network namespace of its own",
            )
            return True
        whole = self.processes * (self.processes - 1) // 2
        if seen is None or (seen.connections >= whole and not seen.is_open):
            self.ports = ()
        return False

    def figures(self) -> Figures:
        """Return what the members saw, as one: the worst latencies, all names of events."""
        # The last line is the summary; before it Bytewax may say that it waits for the others to listen.
        lines = [output.splitlines()[-1] for output in self.outputs.values() if output]
        found = [orjson.loads(line) for line in lines if line.startswith(b"{")]
        return {
            "latency_ms": {
                name: max((one["latency_ms"][name] or 0.0 for one in found), default=0.0)
                for name in ("p50", "p99")
            },
            "events_seen": list(dict.fromkeys(name for one in found for name in one["events_seen"])),
        }

    def _signal(self, number: int) -> None:
        for member in self.members:
            with contextlib.suppress(ProcessLookupError):
                member.send_signal(number)


def _rank(one: tuple[int, int]) -> int:
    """Return what sorts the ends of members, the cause before its consequences: a kill, a clock set back."""
    return 0 if one[1] < 0 else 1 if one[1] == MEMBER_EXIT else 2


def run_group(words: Sequence[str], processes: int, *, restart: bool) -> tuple[int, Figures]:
    """Run a job of several processes; return its exit code and what its members saw.

    restart: start all anew when one fails, after 0.5 s, 1 s, ... 60 s; problems of config, usage or state are
    not cured by that and end the group at once. Where the clock was set back all start anew in any case.
    """
    wait = FIRST_WAIT_SECS
    environment = dict(os.environ)
    while True:
        begun = time.monotonic()
        group = Group(words, processes)
        with contextlib.closing(group.lifeline):
            if requested():
                return 0, group.figures()
            group.start(environment)
            with passing_signals(group) as stopped:
                code = group.wait()
                if code == MEMBER_EXIT and not stopped.is_set():
                    keep_steady(environment)
                    continue
                if code in (0, *FINAL) or not restart or stopped.is_set():
                    return (0 if code == MEMBER_EXIT else code), group.figures()
                if time.monotonic() - begun > LONGEST_WAIT_SECS:
                    wait = FIRST_WAIT_SECS
                _log.warning("starting again", exit=code, wait_secs=wait)
                stopped.wait(wait)
                wait = min(wait * 2, LONGEST_WAIT_SECS)
        # Asked here, where the handlers are the old ones again and no signal falls in between.
        if stopped.is_set():
            return 0, group.figures()


@contextlib.contextmanager
def passing_signals(group: Group) -> Iterator[threading.Event]:
    """Pass SIGTERM and SIGINT on to a group whose members are all there; gives an event that tells of one.

    A signal that came while they were started was kept (see `model.stop`) and is passed on now: a handler
    that passed it on at once would miss the members that start after it.
    """
    stopped = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopped.set()
        group.stop()

    with handled_by(stop):
        if requested():
            stop(signal.SIGTERM, None)
        yield stopped


def free_ports(number: int) -> list[int]:
    """Return ports of this machine that nobody listens on.

    They lie below the range from which systems take ports for outgoing connections: a port of that range
    could be taken by anybody in the moment before the member listens on it.
    """
    found: list[int] = []
    with contextlib.ExitStack() as stack:
        for port in random.sample(PORTS, len(PORTS)):
            one = stack.enter_context(socket.socket())
            try:
                one.bind(("127.0.0.1", port))
            except OSError:
                continue
            found.append(port)
            if len(found) == number:
                return found
    raise Fatal("no free ports for the processes of the job")
