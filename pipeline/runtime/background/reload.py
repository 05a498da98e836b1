"""Hot reload: watch the config directory, try a new version in a child process, compile, install it.

This process reads no file that has not been tried: finding out that a file is bad costs the job nothing, and
a good edit of one file recompiles only that file.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from pipeline.compile.snapshot import Snapshot, compile_config
from pipeline.compile.trial.helper import NoTrial
from pipeline.compile.trial.trial import Trial
from pipeline.compile.versions import Versions
from pipeline.config.files import ConfigText, watched_files
from pipeline.config.job import PipelineConfig
from pipeline.config.watch import Reading, Signature, Watcher, read_directory
from pipeline.language.secrets import Secrets
from pipeline.model.errors import ConfigError, Stopped
from pipeline.model.process.under_way import telling
from pipeline.telemetry import log
from pipeline.telemetry.happenings import CONFIG_GOOD_AGAIN, CONFIG_REFUSED, CONFIG_RELOADED
from pipeline.telemetry.metrics import gauge

POLL_SECS = 0.25
MOST_SECS = 2.0
SHARE = 1000
"""The next check comes after this many times as long as one took, `MOST_SECS` at most."""
PREPARE_SECS = 2.0
"""An endless job starts its trial process this long after its own start, which is busy enough."""
HOLD_SECS = 0.003
"""Compiling yields to the job's other threads after this long."""

_log = log.get("config")


def pause_after(look_secs: float, *, is_pending: bool) -> float:
    """Return how long to wait after a check that used this much CPU. is_pending: an edit is settling."""
    return POLL_SECS if is_pending else min(MOST_SECS, max(POLL_SECS, SHARE * look_secs))


class ConfigWatcher:
    """A thread that keeps the latest version up to date; after a broken edit the running one stays."""

    def __init__(
        self,
        directory: Path,
        config: PipelineConfig,
        versions: Versions,
        renew_secrets: Callable[[], bool] = lambda: False,
        *,
        seen: Signature | None = None,
        trial: Trial | None = None,
        is_endless: bool = False,
    ) -> None:
        """renew_secrets: puts changed secret files into effect; returns whether there were any. seen: the
        state of the files before the running version was read. is_endless: the input has no end, so edits are
        to be expected.
        """
        self._directory = directory
        self._config = config
        self._versions = versions
        self._renew_secrets = renew_secrets
        self._stop = threading.Event()
        self._trial = trial or Trial()
        self._is_alone = False
        """No trial process can be started."""
        running = versions.latest.text
        self._watcher = Watcher(
            directory,
            running.hash,
            clock=time.monotonic,
            read=self._read,
            seen=seen,
            beside=watched_files(running),
        )
        self._prepare_at = time.monotonic() + PREPARE_SECS if is_endless else None
        self._thread = threading.Thread(target=self._watch, name="config", daemon=True)
        self._unused: ConfigText | ConfigError | None = None
        """An edit that could not be put into effect yet: a full disk takes no version."""
        self.problems = ""
        """What is wrong with the files as they are now; "" where they are what runs."""

    def start(self) -> None:
        """Start watching."""
        self._thread.start()

    def stop(self) -> None:
        """Stop watching."""
        self._stop.set()
        self._trial.stop()
        if self._thread.is_alive():
            self._thread.join()
        self._trial.close()

    def _read(self, directory: Path) -> Reading:
        try:
            tried = self._trial.read(directory, self._config.defaults)
        except ConfigError as error:
            return Reading(error, None)
        except NoTrial as error:
            self._is_alone = True
            _log.warning(
                "the config is read in the job itself, which holds up deliveries: no process can be started "
                "to try it in",
                reason=str(error),
            )
            return read_directory(directory, self._config.defaults)
        self._is_alone = False
        return Reading(tried.text or ConfigError(tried.findings, root=tried.root), tried.beside)

    def _watch(self) -> None:
        pause = POLL_SECS
        while not self._stop.wait(pause):
            begun = time.thread_time()
            try:
                self._poll()
            except Stopped:
                return
            except Exception as error:  # the watcher must outlive anything a file system does
                self._failed(error)
                pause = MOST_SECS
            else:
                pause = pause_after(time.thread_time() - begun, is_pending=self._watcher.is_pending)

    def _failed(self, error: Exception) -> None:
        """Report a failure; that of an edit once, however often it is tried again."""
        if self._unused is not None:
            problems = f"the edit could not be put into effect yet, and is tried again: {error}"
            if problems == self.problems:
                return
            self.problems = problems
            gauge("config_problems", 1)
        _log.error("config watcher failed", reason=repr(error), exc_info=error)

    def _poll(self) -> None:
        if self._renew_secrets():
            _log.info("secrets or certificates were read again")
        found = self._unused = self._watcher.poll() or self._unused
        self._prepare()
        if found is None:
            return
        try:
            if isinstance(found, ConfigError):
                raise found
            snapshot = self._compiled(found)
        except ConfigError as error:
            self.problems = str(error)
            gauge("config_problems", 1)
            CONFIG_REFUSED.happened(_log, problems=self.problems)
            self._unused = None
            return
        is_new = snapshot.hash != self._versions.latest.hash
        if is_new:
            self._versions.install(snapshot)
        self._unused = None
        if self.problems:
            CONFIG_GOOD_AGAIN.happened(_log)
        self.problems = ""
        if is_new:
            CONFIG_RELOADED.happened(_log, version=snapshot.hash[:12], webhooks=len(snapshot.webhooks))

    def _prepare(self) -> None:
        """Start the trial process while an edit settles, or once the job has begun."""
        is_time = self._prepare_at is not None and time.monotonic() > self._prepare_at
        if is_time or self._watcher.is_pending:
            self._prepare_at = None
            try:
                self._trial.prepare()
            except NoTrial:
                pass  # whoever needs it reports it

    def _compiled(self, text: ConfigText) -> Snapshot:
        with telling(_Breath().told):
            if self._is_alone:
                return compile_config(text, secrets=Secrets(base=self._directory)).require()
            # Secrets were already checked in the trial.
            return compile_config(text, secrets=None, before=self._versions.latest).require()


class _Breath:
    """Lets other threads have the GIL between two files."""

    def __init__(self) -> None:
        self._since = time.monotonic()

    def told(self, _file: str) -> None:
        if time.monotonic() - self._since > HOLD_SECS:
            time.sleep(0.001)
            self._since = time.monotonic()
