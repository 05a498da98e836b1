"""Hot reload in a running job: watch the config directory, compile, install (DESIGN 2 and 4)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from pipeline.compile.snapshot import compile_config
from pipeline.compile.versions import Versions
from pipeline.config.files import ConfigText, read_config
from pipeline.config.job import PipelineConfig
from pipeline.config.watch import Watcher
from pipeline.language.secrets import Secrets
from pipeline.model.errors import ConfigError
from pipeline.telemetry import log
from pipeline.telemetry.happenings import CONFIG_GOOD_AGAIN, CONFIG_REFUSED, CONFIG_RELOADED
from pipeline.telemetry.metrics import gauge

POLL_SECS = 0.25

_log = log.get("config")


class ConfigWatcher:
    """A thread that keeps the latest version up to date; a broken edit keeps the one that runs."""

    def __init__(
        self,
        directory: Path,
        config: PipelineConfig,
        versions: Versions,
        renew_secrets: Callable[[], bool] = lambda: False,
    ) -> None:
        """renew_secrets: lets changed files of secrets take effect; returns whether there were any."""
        self._directory = directory
        self._config = config
        self._versions = versions
        self._renew_secrets = renew_secrets
        self._stop = threading.Event()
        self._watcher = Watcher(directory, versions.latest.hash, clock=time.monotonic, read=self._read)
        self._thread = threading.Thread(target=self._watch, name="config", daemon=True)
        self.problems = ""
        """What is wrong with the files as they are now; "" where they are what runs."""

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """End watching."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _read(self, directory: Path) -> ConfigText:
        return read_config(directory, defaults=self._config.defaults)

    def _watch(self) -> None:
        while not self._stop.wait(POLL_SECS):
            try:
                self._poll()
            except Exception as error:  # the watcher must outlive whatever a file system does
                _log.error("config watcher failed", reason=repr(error), exc_info=error)

    def _poll(self) -> None:
        if self._renew_secrets():
            _log.info("secrets or certificates were read again")
        found = self._watcher.poll()
        if found is None:
            return
        try:
            if isinstance(found, ConfigError):
                raise found
            snapshot = compile_config(found, secrets=Secrets(base=self._directory)).require()
        except ConfigError as error:
            self.problems = str(error)
            gauge("config_problems", 1)
            CONFIG_REFUSED.happened(_log, problems=self.problems)
            return
        if self.problems:
            CONFIG_GOOD_AGAIN.happened(_log)
        self.problems = ""
        if snapshot.hash != self._versions.latest.hash:
            self._versions.install(snapshot)
            CONFIG_RELOADED.happened(_log, version=snapshot.hash[:12], webhooks=len(snapshot.webhooks))
