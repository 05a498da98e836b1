"""Tries a config in another process: what it costs to find out whether it is good, a running job never pays.

Whoever edits files, or writes webhooks elsewhere, may hand in what takes minutes or gigabytes to read. The
process is started when it is first wanted, kept for the next config, and replaced when it is gone.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline.compile.trial.child import PLACE_BYTES
from pipeline.compile.trial.wire import comes, receive, send
from pipeline.config.files import ConfigText, JobDefaults
from pipeline.model.errors import ConfigError, Stopped
from pipeline.model.findings import Finding
from pipeline.model.json import Value
from pipeline.model.process.bounds import USUAL, Bounds, Exceeded, too_large, too_slow
from pipeline.model.process.lifeline import Lifeline
from pipeline.model.process.private import CORES

START_SECS = 30.0
"""How long it may take to begin, on a busy machine."""
LOOK_SECS = 1.0
_KEPT = (
    "PATH",
    "PYTHONPATH",
    "PYTHONHOME",
    "LD_LIBRARY_PATH",
    "LANG",
    "LC_ALL",
    "TZ",
    *(CORES, "COVERAGE_PROCESS_CONFIG"),
)
"""Variables that a Python process needs to begin; the rest of the environment may hold secrets."""
_STOPPED = "the job stops"


class NoTrial(Exception):
    """No process can be had to try configs in; says why."""


@dataclass(slots=True, frozen=True)
class Tried:
    """What became of a config."""

    text: ConfigText | None
    """What was read; None where it has errors."""
    findings: tuple[Finding, ...]
    """Errors first; of very many the first alone."""
    lists: tuple[str, ...]
    """Where the list files that it names may lie."""
    root: str = ""

    def require(self) -> ConfigText:
        """Return the text; raises ConfigError with the findings."""
        if self.text is None:
            raise ConfigError(self.findings, root=self.root)
        return self.text


class Trial:
    """The other process, for one user at a time."""

    def __init__(self, bounds: Bounds = USUAL, environ: Mapping[str, str] = os.environ) -> None:
        """environ: where the variables that configs name are looked up."""
        self._bounds = bounds
        self._environ = environ
        self._child: _Child | None = None
        self._stopped = False

    def prepare(self) -> None:
        """Start the process if there is none; it begins while its caller does something else.

        Raises NoTrial.
        """
        if self._child is not None and self._child.is_gone():
            self.close()
        if self._child is None:
            self._child = _Child(self._environ)

    def read(self, directory: Path, defaults: JobDefaults) -> Tried:
        """Read a config directory and compile it. Raises ConfigError (Exceeded) and NoTrial."""
        request = {"directory": str(directory), "defaults": defaults.to_data()}
        return self._try(request, str(directory))

    def check(self, text: ConfigText) -> Tried:
        """Compile a config that is at hand, of unsaved files. Raises Exceeded and NoTrial."""
        return self._try({"text": text.to_data(), "root": text.root}, text.root)

    def stop(self) -> None:
        """End the process for whoever waits for its answer in another thread; nothing is tried any more."""
        self._stopped = True
        child = self._child
        if child is not None:
            child.kill()

    def close(self) -> None:
        """End the process."""
        child, self._child = self._child, None
        if child is not None:
            child.close()

    def _try(self, request: dict[str, Value], root: str) -> Tried:
        request["bounds"] = asdict(self._bounds)
        for last in (False, True):
            if self._stopped:
                raise Stopped(_STOPPED)
            self.prepare()
            assert self._child is not None  # that is what `prepare` is for
            try:
                answer = self._child.ask(request, self._bounds)
            except Exceeded as error:
                self.close()
                error.root = root
                raise
            except NoTrial:
                self.close()
                raise
            except _Gone as gone:
                self.close()
                if last and not self._stopped:
                    raise ConfigError([gone.finding], root=root) from None
                continue
            if "problem" in answer:
                raise ConfigError(answer["problem"])
            findings = tuple(Finding(**one) for one in answer["findings"])
            data = answer["text"]
            text = None if data is None else ConfigText.from_data(data, root)
            return Tried(text, findings, tuple(answer["lists"]), root)
        raise Stopped(_STOPPED)


class _Gone(Exception):
    """The process ended by itself, or somebody else ended it."""

    def __init__(self, why: str, file: str) -> None:
        super().__init__(why)
        message = f"the process that tries configs ended while it worked on it ({why})"
        hint = "`hookline check` shows what is wrong; saving a file has it tried again"
        self.finding = Finding(file, 0, 0, "not-tried", message, hint)


class _Child:
    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._ready = False
        own = {name: os.environ[name] for name in _KEPT if name in os.environ}
        # What is imported here is imported there, whatever a folder named `pipeline` here may hold.
        own["PYTHONPATH"] = os.pathsep.join(path or os.getcwd() for path in sys.path)
        with ExitStack() as stack:
            try:
                self._lifeline = Lifeline()
                stack.callback(self._lifeline.close)
                self._place = os.memfd_create("place")
                """Where it says which file it is at, so that this is known also when it is killed."""
                stack.callback(os.close, self._place)
                self._lifeline.tie(own)
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "pipeline.compile.trial.child", str(self._place)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    bufsize=0,
                    start_new_session=True,  # a Ctrl-C is the job's to hear
                    env=own,
                    pass_fds=(*self._lifeline.descriptors, self._place),
                )
            except OSError as error:
                raise NoTrial(str(error)) from None
            self._open = stack.pop_all()
        assert self._process.stdin is not None  # both are pipes
        assert self._process.stdout is not None
        self._to, self._from = self._process.stdin.fileno(), self._process.stdout.fileno()

    def is_gone(self) -> bool:
        return self._process.poll() is not None

    def ask(self, request: Value, bounds: Bounds) -> dict[str, Value]:
        """Return the answer. Raises Exceeded, _Gone, and NoTrial where it did not even begin."""
        if not self._ready:
            self._begin()
        os.pwrite(self._place, b"\0" * PLACE_BYTES, 0)
        try:
            send(self._to, request)
            while True:
                self._wait(bounds)
                answer: dict[str, Value] = receive(self._from)
                if "variable" in answer:
                    send(self._to, {"value": self._environ.get(answer["variable"])})
                elif "exceeded" in answer:
                    raise too_large(answer["exceeded"], bounds)
                else:
                    return answer
        except (EOFError, OSError):
            raise self._end(bounds) from None

    def _begin(self) -> None:
        try:
            self._ready = comes(self._from, START_SECS) and "ready" in receive(self._from)
        except EOFError:
            pass
        if not self._ready:
            self.kill()
            raise NoTrial(f"it ends with {self._process.wait()} before it begins")

    def _wait(self, bounds: Bounds) -> None:
        """Wait for an answer while there is progress."""
        at, since = self._at(), time.monotonic()
        while not comes(self._from, LOOK_SECS):
            now = self._at()
            if now != at:
                at, since = now, time.monotonic()
            elif time.monotonic() - since > bounds.still_secs:
                raise Exceeded(f"more than {bounds.still_secs:g} s", _file(at))

    def _end(self, bounds: Bounds) -> Exception:
        """Return what the end of the process means."""
        file = _file(self._at())
        code = self._process.wait()
        if code == -signal.SIGXCPU:
            return too_slow(file, bounds)
        if code == -signal.SIGABRT:
            return too_large(file, bounds)  # so libraries end that are refused memory
        told = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return _Gone(told, file)

    def _at(self) -> bytes:
        return os.pread(self._place, PLACE_BYTES, 0).partition(b"\0")[0]

    def kill(self) -> None:
        self._process.kill()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._open.close()


def _file(place: bytes) -> str:
    return place.partition(b" ")[2].decode(errors="replace")
