"""Supervises one team, the processes of a job, or several side by side (`hookline up`).

One thread starts, stops and starts anew, and hears signals; each start has another one that waits for its
end. The first signal stops the teams one after the other, in the order in which data walks; a second ends all
at once.
"""

from __future__ import annotations

import os
import queue
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import NamedTuple, TypedDict

import orjson

from pipeline.deliver.lanes.clock import keep_steady
from pipeline.model.process.exits import MEMBER_EXIT, Exit
from pipeline.model.process.stop import HEAR_SECS, handled_by, requested
from pipeline.runtime.processes.group import Group, Hear, unheard
from pipeline.telemetry import log

FIRST_WAIT_SECS = 0.5
LONGEST_WAIT_SECS = 60.0
JOB = "job"
STOP_SECS = 20.0
"""How long the next team waits for the one before it to stop."""
KILL_SECS = 1.0
"""How long those may take to end that were asked twice."""
FINAL = (Exit.PROBLEMS, Exit.USAGE, Exit.STATE)
"""What starting again does not cure."""
_log = log.get("group")


@dataclass(slots=True, frozen=True)
class Team:
    """Processes that live and die together, and are started anew together."""

    name: str
    words: Sequence[str]
    """The command line of a verb, without the program."""
    processes: int = 1
    restart: bool = True
    joined: bool = True
    """They are members of one job."""
    talks: Hear | None = None
    tells: Hear = unheard
    silent_secs: float | None = None
    """One that has told something, and then nothing for so long, hangs: it is ended, and started anew."""


@dataclass(slots=True, frozen=True)
class Ended:
    """How a team ended for good."""

    code: int
    outputs: Mapping[int, bytes] = field(default_factory=dict)
    """The last line that each process wrote."""


class Figures(TypedDict):
    """What the members of a job saw of a run, each of its own part."""

    latency_ms: dict[str, float]
    events_seen: list[str]


class _GroupEnded(NamedTuple):
    name: str
    code: int


@dataclass(slots=True)
class _Standing:
    """Where a team stands."""

    team: Team
    environment: dict[str, str]
    group: Group | None = None
    """Its processes, while there are some."""
    begun: float = 0.0
    due: float = 0.0
    """When it is started, where there are none."""
    wait_secs: float = field(default_factory=lambda: FIRST_WAIT_SECS)
    until: float | None = None
    """It was asked to stop: how long the next team waits for it."""
    outputs: Mapping[int, bytes] = field(default_factory=dict)


class Supervisor:
    """Runs teams until they have ended, one of them cannot go on, or a signal stops them."""

    def __init__(self, teams: Sequence[Team]) -> None:
        self.ended: dict[str, Ended] = {}
        self._standing = {team.name: _Standing(team, dict(os.environ)) for team in teams}
        self._stopping = False
        self._signals = 0
        self._ended_by = 0
        """The signal that ended all at once; 0: none has."""
        self._kill_at = float("inf")
        """When those are ended that a second signal did not end: they hear none, or hang."""
        # A handler may put into it at any moment, also while the same thread takes.
        self._happened: queue.SimpleQueue[_GroupEnded | int] = queue.SimpleQueue()

    def run(self) -> int:
        """Return when all teams are gone: the code of the one that ended the others, else the worst.

        Of a second signal: what a shell calls it, 128 and its number.
        """

        def heard(number: int, _frame: FrameType | None) -> None:
            self._happened.put(number)

        if requested():
            return 0
        cause = 0
        with handled_by(heard):
            if requested():
                self._hear_signal(signal.SIGTERM)  # kept by the handler that was there before
            try:
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
        """Start, or ask to stop, whose turn it is; return after how many seconds it is the next one's."""
        now, next_turn = time.monotonic(), self._kill_at
        if now >= self._kill_at:
            self._kill_at = next_turn = float("inf")
            self._end_at_once(kill=True)
        for name, one in self._standing.items():
            if name in self.ended:
                continue
            if self._stopping:
                if one.group is None:
                    self.ended[name] = Ended(0, one.outputs)
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
        """End those that say nothing any more; return when to look again."""
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
        team = one.team
        group = Group(
            team.words,
            team.processes,
            talks=team.talks,
            tells=team.tells,
            joined=team.joined,
            name=name,
        )
        one.begun, one.group = time.monotonic(), group
        group.start(one.environment)

        def wait() -> None:
            self._happened.put(_GroupEnded(name, group.wait()))

        threading.Thread(target=wait, name=name, daemon=True).start()

    def _note_end(self, name: str, code: int) -> Ended | None:
        """Take note that a team's processes are gone; return how, where that is for good."""
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
            ended = self.ended[name] = Ended(0 if code == MEMBER_EXIT else code, one.outputs)
            self._say_ended(name, ended)
            return ended
        if now - one.begun > LONGEST_WAIT_SECS:
            one.wait_secs = FIRST_WAIT_SECS
        _log.warning("starting again", member=name, exit=code, wait_secs=one.wait_secs)
        one.due = now + one.wait_secs
        one.wait_secs = min(one.wait_secs * 2, LONGEST_WAIT_SECS)
        return None

    def _say_ended(self, name: str, ended: Ended) -> None:
        if self._stopping or len(self.ended) == len(self._standing):
            return
        if ended.code:
            _log.error("ended, and the others with it", member=name, exit=ended.code)
        else:
            _log.info("ended, the others go on", member=name)

    def _hear_signal(self, number: int) -> None:
        self._stopping = True
        self._signals += 1
        if self._signals > 1:
            self._ended_by = number
            self._end_at_once(kill=self._signals > 2)
            self._kill_at = time.monotonic() + KILL_SECS

    def _end_at_once(self, *, kill: bool) -> None:
        """Ask again those that were asked to stop, which ends them; end the others."""
        for one in self._standing.values():
            if one.group is None:
                continue
            if kill or one.until is None:
                one.group.kill()
            else:
                one.group.stop()


def run_group(words: Sequence[str], processes: int, *, restart: bool) -> tuple[int, Figures]:
    """Run a job of several processes; return its exit code and what its members saw.

    restart: start all anew when one fails, after 0.5 s, 1 s, ... 60 s; problems of config, usage or state are
    not cured by that and end the group at once. Where the clock was set back all start anew in any case.
    """
    supervisor = Supervisor([Team(JOB, words, processes, restart)])
    code = supervisor.run()
    return code, figures_of(supervisor.ended.get(JOB))


def figures_of(ended: Ended | None) -> Figures:
    """Return what the members of a job saw, as one: the worst latencies, all names of events."""
    # The last line is the summary; Bytewax may say before it that it waits for the others to listen.
    outputs = {} if ended is None else ended.outputs
    found = [orjson.loads(line) for _, line in sorted(outputs.items()) if line.startswith(b"{")]
    return {
        "latency_ms": {
            name: max((one["latency_ms"][name] or 0.0 for one in found), default=0.0)
            for name in ("p50", "p99")
        },
        "events_seen": list(dict.fromkeys(name for one in found for name in one["events_seen"])),
    }
