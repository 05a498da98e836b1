"""The taps of all processes of a job as one, followed across reloads and restarts."""

from __future__ import annotations

import contextlib
import selectors
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import orjson

from pipeline.admin.socket_client import ASK_SECS, NotRunning, fitting
from pipeline.model.errors import HooklineError, UsageError
from pipeline.model.json import Value
from pipeline.model.process.private import require_sight

WAIT_SECS = 0.1
"""How long one look waits for lines."""
LOOK_SECS = 0.3
"""How often to look for processes that are not followed yet."""
_CHUNK = 1 << 18

Line = dict[str, Value]


@dataclass(slots=True, frozen=True)
class Notice:
    """Something about the tap itself, for a person."""

    text: str
    is_count: bool = False
    """It says how much was left out, which `not_shown` and `not_looked_at` give as numbers."""


class _Process:
    """The connection to one process."""

    def __init__(self, path: Path, request: bytes) -> None:
        """Start a tap. Raises OSError where nobody listens, HooklineError where the job refuses."""
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._rest = b""
        self.left_out = self.passed_over = 0
        try:
            self.socket.settimeout(ASK_SECS)
            with fitting(path) as name:
                self.socket.connect(name)
            self.socket.sendall(request)
            while b"\n" not in self._rest:
                got = self.socket.recv(_CHUNK)
                if not got:
                    raise ConnectionResetError("the job ends")
                self._rest += got
            first, _, self._rest = self._rest.partition(b"\n")
            answer = orjson.loads(first)
            if not answer["ok"]:
                raise _refused(answer)
            self.hello: Line = answer["result"]
            self.socket.setblocking(False)
        except BaseException:
            self.socket.close()
            raise

    def read(self) -> list[bytes] | None:
        """Return the complete lines that have come; None where the process has ended."""
        try:
            got = self.socket.recv(_CHUNK)
        except BlockingIOError:
            return []
        except OSError:
            return None
        if not got:
            return None
        *lines, self._rest = (self._rest + got).split(b"\n")
        return lines


def _refused(answer: Mapping[str, Value]) -> HooklineError:
    text = str(answer["error"])
    if "does not know that command" in text:
        text = "the running job is of an older version of Hookline: restart it, then tap it"
    if answer["code"] == UsageError.exit_code:
        return UsageError(text)
    error = HooklineError(text)
    error.exit_code = answer["code"]
    return error


class Followed:
    """The tap of a job. Iterating yields lines, notices, and None when nothing came for a moment.

    state: its directory. arguments: of the admin command `tap`. reconnect: whether to wait for the job when
    it ends. patient: whether to wait for one at the beginning, too; otherwise raises NotRunning. Raises
    HooklineError where the job refuses.
    """

    def __init__(
        self,
        state: Path,
        arguments: Mapping[str, Value],
        *,
        reconnect: bool = True,
        patient: bool = False,
    ) -> None:
        self._state = state
        self._rate: int = arguments["rate"]
        self._stages: tuple[str, ...] = tuple(arguments["stages"])
        self._request = orjson.dumps(
            {"command": "tap", "args": dict(arguments)}, option=orjson.OPT_APPEND_NEWLINE
        )
        self._reconnect = reconnect
        self._patient = patient
        self._selector = selectors.DefaultSelector()
        self._processes: dict[Path, _Process] = {}
        self._config = ""
        self._begun = False
        self._look_at = 0.0
        self._second = 0.0
        self._left = 0
        self.shown = 0
        """Lines that were yielded."""
        self.not_shown = 0
        self.not_looked_at = 0
        self._said = (0, 0)

    @property
    def is_connected(self) -> bool:
        """Whether a job is followed now, and not waited for."""
        return bool(self._processes)

    def __iter__(self) -> Iterator[Line | Notice | None]:
        """Yield lines and notices until the job ends, unless reconnecting, or the caller stops."""
        waits = False
        try:
            while True:
                yield from self._connect()
                if not self._processes:
                    if not self._begun and not self._patient:
                        raise NotRunning(f"no job runs on `{self._state}`: `hookline run` starts one")
                    if self._patient and not self._begun and not waits:
                        waits = True
                        yield Notice("no job is running; waiting for one")
                    if not self._reconnect:
                        return
                    time.sleep(WAIT_SECS)
                    yield None
                    continue
                came = False
                for line in self._read():
                    came = True
                    yield line
                yield from self._counts()
                if not came:
                    yield None
        finally:
            for process in self._processes.values():
                process.socket.close()
            self._selector.close()

    def _connect(self) -> Iterator[Notice]:
        """Start following processes that are not followed yet."""
        now = time.monotonic()
        if now < self._look_at:
            return
        self._look_at = now + LOOK_SECS
        require_sight(self._state)
        for path in sorted(self._state.glob("control-*.sock")):
            if path in self._processes:
                continue
            try:
                process = _Process(path, self._request)
            except OSError:
                continue  # left by a killed process, or not listening yet
            again = self._begun and not self._processes
            self._processes[path] = process
            self._selector.register(process.socket, selectors.EVENT_READ, process)
            config = str(process.hello["config"])
            if again:
                yield Notice(f"the job runs again, with config {config[:12]}")
                self._config = config
            elif not self._begun:
                self._config = config
                yield from self._unknown(process.hello)
                yield Notice(self._listening(process.hello))
            self._begun = True

    def _unknown(self, hello: Mapping[str, Value]) -> Iterator[Notice]:
        """Raise UsageError for an unknown webhook; a pattern may match a future one."""
        for pattern, sentence in hello["unknown"].items():
            if not any(sign in pattern for sign in "*?["):
                raise UsageError(sentence)
            yield Notice(f"no webhook is called like `{pattern}` yet")

    def _listening(self, hello: Mapping[str, Value]) -> str:
        number, one = len(hello["webhooks"]), next(iter(hello["webhooks"]), "")
        whose = one if number == 1 else f"{number:,} webhooks"
        return f"listening to {', '.join(self._stages)} of {whose}; config {self._config[:12]}"

    def _read(self) -> Iterator[Line | Notice]:
        for key, _ in self._selector.select(WAIT_SECS):
            process: _Process = key.data
            lines = process.read()
            if lines is None:
                yield from self._ended(process)
                continue
            for text in lines:
                line = orjson.loads(text)
                if "tap" in line:
                    yield from self._told(process, line["tap"])
                    continue
                now = time.monotonic()
                if now >= self._second + 1.0:
                    self._second, self._left = now, self._rate
                if self._left <= 0:
                    # Each process may send the full rate: together that may be too much.
                    self.not_shown += 1
                    continue
                self._left -= 1
                self.shown += 1
                yield line

    def _told(self, process: _Process, counts: Mapping[str, Value]) -> Iterator[Notice]:
        self.not_shown += counts["not_shown"] - process.left_out
        self.not_looked_at += counts["not_looked_at"] - process.passed_over
        process.left_out, process.passed_over = counts["not_shown"], counts["not_looked_at"]
        if "failed" in counts:
            raise HooklineError(f"the tap has failed in the job, which goes on: {counts['failed']}")
        if counts["config"] != self._config:
            self._config = counts["config"]
            yield Notice(f"another config is in use now: {self._config[:12]}")

    def _counts(self) -> Iterator[Notice]:
        now = time.monotonic()
        not_shown, not_looked_at = self.not_shown - self._said[0], self.not_looked_at - self._said[1]
        if (not_shown or not_looked_at) and now >= self._second + 1.0:
            self._said = (self.not_shown, self.not_looked_at)
            yield Notice(left_out(not_shown, not_looked_at, self._rate), is_count=True)

    def _ended(self, process: _Process) -> Iterator[Notice]:
        self._selector.unregister(process.socket)
        with contextlib.suppress(OSError):
            process.socket.close()
        del self._processes[process.path]
        if self._processes:
            yield Notice("one process of the job has ended")
        else:
            yield Notice("the job has ended" + ("; waiting for it to run again" if self._reconnect else ""))


def left_out(not_shown: int, not_looked_at: int, rate: int) -> str:
    """Return ``1,240 more not shown (--rate 100/s)``."""
    parts = [f"{not_shown:,} more not shown (--rate {rate}/s)"] * bool(not_shown)
    parts += [f"{not_looked_at:,} lines read and not looked at"] * bool(not_looked_at)
    return ", ".join(parts)
