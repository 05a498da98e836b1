"""Supervises one team, the processes of a job, or several side by side (`hookline up`).

One thread starts, stops and restarts teams, and handles signals; each launch has another one that waits for
its exit. The first signal stops the teams one after another, in the order of the data flow; a second ends all
at once.
"""

from __future__ import annotations

import os
import queue
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import NamedTuple, TypedDict

import orjson

from pipeline.deliver.lanes.clock import keep_steady
from pipeline.model.process.exits import MEMBER_EXIT, Exit
from pipeline.model.process.stop import HEAR_SECS, handled_by, requested
from pipeline.runtime.processes.group import Group, Run, Team
from pipeline.telemetry import log

FIRST_WAIT_SECS = 0.5
LONGEST_WAIT_SECS = 60.0
JOB = "job"
STOP_SECS = 20.0
"""How long a team waits for the one before it to stop."""
KILL_SECS = 1.0
"""How long a team that was signalled twice may take to exit."""
FINAL = (Exit.PROBLEMS, Exit.USAGE, Exit.STATE)
"""Exit codes that a restart does not cure."""
_log = log.get("group")


@dataclass(slots=True, frozen=True)
class TeamEnded:
    """How a team ended for good."""

    code: int
    outputs: Mapping[int, bytes] = field(default_factory=dict)
    """The last line that each process wrote."""


class Figures(TypedDict):
    """What the members of a job report of a run, each of its own part."""

    latency_ms: dict[str, float]
    events_seen: list[str]


class _GroupEnded(NamedTuple):
    name: str
    code: int


@dataclass(slots=True)
class _Standing:
    """The present state of a team."""

    team: Team
    environment: dict[str, str]
    group: Group | None = None
    """Its processes, while there are some."""
    begun: float = 0.0
    due: float = 0.0
    """When to start it, while it has no processes."""
    wait_secs: float = field(default_factory=lambda: FIRST_WAIT_SECS)
    until: float | None = None
    """It was asked to stop: how long the next team waits for it."""
    outputs: Mapping[int, bytes] = field(default_factory=dict)


class Supervisor:
    """Runs teams until they have ended, one of them cannot continue, or a signal stops them."""

    def __init__(self, teams: Sequence[Team], begun: Callable[[], None] = lambda: None) -> None:
        """begun: called once all teams have been started; it may start threads, which they must not meet."""
        self._begun = begun
        self.ended: dict[str, TeamEnded] = {}
        self._standing = {team.name: _Standing(team, dict(os.environ)) for team in teams}
        self._stopping = False
        self._signals = 0
        self._ended_by = 0
        """The signal that ended all at once; 0: none has."""
        self._kill_at = float("inf")
        """When to kill those that a second signal did not end: they ignore it, or hang."""
        # A signal handler may put into it at any moment, even while the same thread takes.
        self._happened: queue.SimpleQueue[_GroupEnded | int] = queue.SimpleQueue()

    def run(self) -> int:
        """Run until all teams are gone; return the exit code of the one that ended the others, else the
        worst.

        After a second signal: 128 plus its number, as shells do.
        """

        def heard(number: int, _frame: FrameType | None) -> None:
            self._happened.put(number)

        if requested():
            return 0
        cause = 0
        with handled_by(heard):
            if requested():
                self._hear_signal(signal.SIGTERM)  # the previous handler has noted it
            try:
                self._act()
                self._begun()
                while len(self.ended) < len(self._standing):
                    try:
                        happened = self._happened.get(timeout=self._act())
                    except queue.Empty:
                        continue
                    if isinstance(happened, int):
                        self._hear_signal(happened)
                    elif (ended := self._note_end(*happened)) is not None and not self._stopping:
                        self._stopping = bool(ended.code)
                        cause = ended.code
            except BaseException:
                self._end_at_once(kill=True)
                raise
        if self._ended_by:
            return 128 + self._ended_by
        return cause or max(ended.code for ended in self.ended.values())

    def _act(self) -> float:
        """Start or stop the teams that are due; return the seconds until the next one is."""
        now, next_turn = time.monotonic(), self._kill_at
        if now >= self._kill_at:
            self._kill_at = next_turn = float("inf")
            self._end_at_once(kill=True)
        for name, one in self._standing.items():
            if name in self.ended:
                continue
            if self._stopping:
                if one.group is None:
                    self.ended[name] = TeamEnded(0, one.outputs)
                    continue
                if one.until is None:
                    one.until = now + STOP_SECS
                    one.group.stop()
                next_turn = min(next_turn, one.until) if one.until > now else next_turn
                if one.until > now:
                    break
            elif one.group is None:
                if one.due <= now:
                    self._start(name, one)
                else:
                    next_turn = min(next_turn, one.due)
        if len(self.ended) == len(self._standing):
            return 0.0
        if not self._stopping:
            next_turn = min(next_turn, self._end_hung(now))
        return min(max(0.0, next_turn - now), HEAR_SECS)

    def _end_hung(self, now: float) -> float:
        """End teams that have fallen silent; return when to look again."""
        next_look = float("inf")
        for name, one in self._standing.items():
            silent_secs, group = one.team.silent_secs, one.group
            if silent_secs is None or group is None:
                continue
            if group.heard_at is None:
                next_look = min(next_look, now + silent_secs)
            elif group.heard_at + silent_secs > now:
                next_look = min(next_look, group.heard_at + silent_secs)
            elif not group.stopping:
                _log.error("hangs: ended, to be started again", member=name, silent_secs=silent_secs)
                group.kill()
        return next_look

    def _start(self, name: str, one: _Standing) -> None:
        group = Group(one.team)
        one.begun, one.group = time.monotonic(), group
        group.start(one.environment)

        def wait() -> None:
            self._happened.put(_GroupEnded(name, group.wait()))

        threading.Thread(target=wait, name=name, daemon=True).start()

    def _note_end(self, name: str, code: int) -> TeamEnded | None:
        """Note that a team's processes are gone; return how, if for good."""
        one = self._standing.get(name)
        if one is None or one.group is None:
            return None
        one.group.lifeline.close()
        one.outputs, one.group = one.group.outputs, None
        now = time.monotonic()
        if code == MEMBER_EXIT and not self._stopping:
            keep_steady(one.environment)
            one.due = now
            return None
        if code in (0, *FINAL) or not one.team.restart or self._stopping:
            ended = self.ended[name] = TeamEnded(0 if code == MEMBER_EXIT else code, one.outputs)
            self._say_ended(name, ended)
            return ended
        if now - one.begun > LONGEST_WAIT_SECS:
            one.wait_secs = FIRST_WAIT_SECS
        _log.warning("starting again", member=name, exit=code, wait_secs=one.wait_secs)
        one.due = now + one.wait_secs
        one.wait_secs = min(one.wait_secs * 2, LONGEST_WAIT_SECS)
        return None

    def _say_ended(self, name: str, ended: TeamEnded) -> None:
        if self._stopping or len(self.ended) == len(self._standing):
            return
        if ended.code:
            _log.error("ended, and the others with it", member=name, exit=ended.code)
        else:
            _log.info("ended, the others go on", member=name)

    def _hear_signal(self, number: int) -> None:
        if self._stopping and number == signal.SIGHUP:
            return  # the shell and the system both send it
        self._stopping = True
        self._signals += 1
        if self._signals > 1:
            self._ended_by = number
            self._end_at_once(kill=self._signals > 2)
            self._kill_at = time.monotonic() + KILL_SECS

    def _end_at_once(self, *, kill: bool) -> None:
        """Signal those again that were asked to stop, which ends them; kill the others."""
        for one in self._standing.values():
            if one.group is None:
                continue
            if kill or one.until is None:
                one.group.kill()
            else:
                one.group.stop()


def run_group(
    words: Sequence[str],
    processes: int,
    *,
    restart: bool,
    run: Run | None = None,
    begun: Callable[[], None] = lambda: None,
) -> tuple[int, Figures]:
    """Run a multi-process job; return its exit code and its members' figures.

    run: what a forked member runs; None: none is forked. begun: called when they have been started.
    restart: restart all when one fails, after 0.5 s, 1 s, ... 60 s; problems of config, usage or state are
    not cured by that and end the group at once. After a clock was set back all restart in any case.
    """
    supervisor = Supervisor([Team(JOB, words, processes, restart, run=run)], begun)
    code = supervisor.run()
    return code, figures_of(supervisor.ended.get(JOB))


def figures_of(ended: TeamEnded | None) -> Figures:
    """Return the members' figures as one job's: the worst latencies, all names of events."""
    # The last line is the summary; before it Bytewax may report that it waits for the others to listen.
    outputs = {} if ended is None else ended.outputs
    found = [orjson.loads(line) for _, line in sorted(outputs.items()) if line.startswith(b"{")]
    return {
        "latency_ms": {
            name: max((one["latency_ms"][name] or 0.0 for one in found), default=0.0)
            for name in ("p50", "p99")
        },
        "events_seen": list(dict.fromkeys(name for one in found for name in one["events_seen"])),
    }
