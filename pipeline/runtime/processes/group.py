"""One launch of processes that start and stop together.

Each runs a verb of the command line with the hidden flag ``--member``, as a new process or a fork of this
one. Members have sessions of their own: a Ctrl-C or a signal to the group reaches only this process, which
passes it on: the first stops them cleanly, a second ends them at once. Bytewax cannot continue without a
member: when one is gone, all are ended, and none outlives this process.
"""

from __future__ import annotations

import contextlib
import functools
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, TypeAlias

from pipeline.model.errors import Fatal
from pipeline.model.process.exits import MEMBER_EXIT, MEMBER_STOPPED, Exit
from pipeline.model.process.lifeline import Lifeline
from pipeline.runtime.processes.forked import Member, can_fork, fork
from pipeline.runtime.processes.mesh import look
from pipeline.telemetry import log

CAUSE_SECS = 0.3
"""How long to wait for the exit of a process that may have caused another's."""
STOPPED_CAUSE_SECS = 2.0
"""The same after a stop: one that had begun nothing yet closes its stores before it ends."""
END_SECS = 0.3
"""How long the others may then take to exit before they are killed. They can finish no epoch any more, so a
clean stop is impossible: most do not even notice the signal."""
BEFORE_IT_JOINED = (-signal.SIGTERM, MEMBER_STOPPED)
"""How a member ends that is stopped before it knew how to stop, or while it waited for something."""
PORTS = range(20_000, 32_000)
MESH_SECS, MESH_MOST_SECS = 0.02, 0.1
"""Pause between two looks at who is connected to the members' ports, until they have found one another."""
MESH_WAITS = 4
"""At least this many times the CPU time of the last look: with a thousand sockets on the machine a look takes
10 ms, and the starting members need the core."""
_log = log.get("group")

Hear: TypeAlias = Callable[[bytes], None]
"""Takes a line, without its line end."""


Run: TypeAlias = Callable[[Sequence[str]], int]
"""Runs a command line, without the program, in this process; returns its exit code."""


def unheard(_line: bytes) -> None:
    """Ignore the line."""


@dataclass(slots=True, frozen=True)
class Team:
    """Processes that live and die together, and are restarted together."""

    name: str
    words: Sequence[str]
    """The command line of a verb, without the program."""
    processes: int = 1
    restart: bool = True
    joined: bool = True
    """They are members of one job, and connect to one another."""
    run: Run | None = None
    """What its members run where they are forked; None: they are not."""
    talks: Hear | None = None
    """Takes each line of stderr. None: the members write to this process's own."""
    tells: Hear = unheard
    """Takes each line of stdout."""
    silent_secs: float | None = None
    """A team that has written something, and then nothing for this long, hangs: it is ended and restarted."""


@dataclass(slots=True)
class Group:
    """One launch of a team."""

    team: Team
    members: list[Member] = field(default_factory=list)
    outputs: dict[int, bytes] = field(default_factory=dict)
    """The last line of each member that has exited."""
    stopping: bool = False
    killed: bool = False
    """They were ended at once, or signalled twice: their exit codes mean nothing."""
    lifeline: Lifeline = field(default_factory=Lifeline)
    """Ends the members with this process."""
    ports: Sequence[int] = ()
    """The ports on which the members listen for one another; empty once they are connected."""
    look_secs: float = MESH_SECS
    """Pause before the next look at the ports."""
    heard_at: float | None = None
    """When a member last wrote something, on the monotonic clock; None: not yet."""

    def start(self, environment: Mapping[str, str] = os.environ) -> None:
        """Start every member."""
        tied = dict(environment)
        self.lifeline.tie(tied)
        if self.team.joined:
            self.ports = free_ports(self.team.processes)
        addresses = ";".join(f"127.0.0.1:{port}" for port in self.ports)
        run = self.team.run if can_fork() else None
        for number in range(self.team.processes):
            words = [*self.team.words, "--member", f"{number}@{addresses}"]
            # The member that owns a source partition reads it, for `--source -`.
            reads = self.team.joined and sys.stdin is not None and not sys.stdin.isatty()
            if run is not None:
                work = functools.partial(run, words)
                self.members.append(fork(work, self.lifeline, self.members, reads=reads))
                continue
            command = [sys.executable, "-m", "pipeline.cli", *words]
            self.members.append(
                subprocess.Popen(
                    command,
                    stdin=None if reads else subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=None if self.team.talks is None else subprocess.PIPE,
                    start_new_session=True,
                    env=tied,
                    pass_fds=self.lifeline.descriptors,
                )
            )

    def stop(self) -> None:
        """Ask every member to stop cleanly, or at once if that was asked before."""
        self.killed = self.killed or self.stopping
        self.stopping = True
        self._signal(signal.SIGTERM)
        self._signal(signal.SIGCONT)  # one that was suspended would not hear it

    def kill(self) -> None:
        """End every member at once."""
        self.stopping = self.killed = True
        self._signal(signal.SIGKILL)

    def wait(self) -> int:
        """Wait until all members are gone: return 0, or the exit code of the first that failed.

        Being stopped before every member had joined the others is not a failure: nothing had begun.
        """
        ended: list[tuple[int, int]] = []
        told = threading.Condition()

        def watch(number: int) -> None:
            code = self._hear(number)
            with told:
                ended.append((number, code))
                told.notify()

        for number in range(self.team.processes):
            threading.Thread(target=watch, args=(number,), daemon=True).start()
        deadline: float | None = None
        failed: int | None = None
        with told:
            while True:
                if failed is None and self._has_strangers():
                    self._signal(signal.SIGKILL)
                    told.wait_for(lambda: len(ended) == self.team.processes)
                    return int(Exit.FATAL)
                if failed is None and any(code for _, code in ended):
                    # Its peers panic at once: a moment later it is known who was first; a kill ranks before
                    # everything.
                    cause_secs = STOPPED_CAUSE_SECS if self.stopping else CAUSE_SECS
                    told.wait_for(lambda: _has_cause(ended) or len(ended) == self.team.processes, cause_secs)
                    number, failed = min((one for one in ended if one[1]), key=_rank)
                    if self.stopping and failed in BEFORE_IT_JOINED:
                        self._signal(signal.SIGKILL)  # the others wait for it to join them
                        told.wait_for(lambda: len(ended) == self.team.processes)
                        return 0
                    if failed != MEMBER_EXIT and not self.killed:
                        pid = self.members[number].pid
                        _log.error(
                            "a process ended", member=self.team.name, process=number, exit=failed, pid=pid
                        )
                    if not self.stopping:
                        self.stop()
                    deadline = time.monotonic() + END_SECS
                if deadline is not None and time.monotonic() > deadline:
                    self._signal(signal.SIGKILL)
                if len(ended) == self.team.processes:
                    break
                told.wait(self.look_secs if self.ports else 0.2)
        return 0 if failed is None else failed if failed > 0 else int(Exit.FATAL)

    def _hear(self, number: int) -> int:
        """Take a member's output until it has exited; return its exit code."""
        member = self.members[number]
        talk = None
        if self.team.talks is not None and member.stderr is not None:
            talk = threading.Thread(target=_each_line, args=(member.stderr, self.team.talks), daemon=True)
            talk.start()
        if member.stdout is not None:
            last = _each_line(member.stdout, self._tell)
            if last:
                self.outputs[number] = last
        code = member.wait()
        if talk is not None:
            talk.join(END_SECS)  # a process that it left behind may hold the other end open
        return code

    def _tell(self, line: bytes) -> None:
        self.heard_at = time.monotonic()
        self.team.tells(line)

    def _has_strangers(self) -> bool:
        """Return whether somebody else has connected while the members look for one another."""
        begun = time.thread_time()
        seen = look(self.ports) if self.ports else None
        took = time.thread_time() - begun
        self.look_secs = min(max(MESH_SECS, MESH_WAITS * took), MESH_MOST_SECS)
        if seen is not None and seen.strangers:
            _log.error(
                "another user of this machine is at a port where the processes of the job find one another: "
                "ended before they take it for one of them",
                users=sorted(seen.strangers),
                remedy="run one process, or on a machine or in a network namespace of its own",
            )
            return True
        whole = self.team.processes * (self.team.processes - 1) // 2
        if seen is None or (seen.connections >= whole and not seen.is_open):
            self.ports = ()
        return False

    def _signal(self, number: int) -> None:
        for member in self.members:
            with contextlib.suppress(ProcessLookupError):
                member.send_signal(number)


def _each_line(pipe: IO[bytes], hear: Hear) -> bytes:
    """Pass on each line until there are no more; return the last one.

    The receiver may fail: a closed terminal, an unexpected line. The member is read all the same: otherwise
    it would block, or die of it, and its exit would go unnoticed.
    """
    last = b""
    with pipe:
        for line in pipe:
            last = line.rstrip(b"\r\n") or last
            with contextlib.suppress(Exception):
                hear(line.rstrip(b"\r\n"))
    return last


def _rank(one: tuple[int, int]) -> int:
    """Return a sort key for exits, causes before consequences: a kill, a clock set back, a stop."""
    return 0 if one[1] < 0 else 1 if one[1] in (MEMBER_EXIT, MEMBER_STOPPED) else 2


def _has_cause(ended: Sequence[tuple[int, int]]) -> bool:
    return any(code in BEFORE_IT_JOINED for _, code in ended)


def free_ports(number: int) -> list[int]:
    """Return ports of this machine on which nobody listens.

    They lie below the range used for outgoing connections: from that range, anybody could take a port in the
    moment before the member listens on it.
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
