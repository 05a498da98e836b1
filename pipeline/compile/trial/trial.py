"""Tries a config in another process: what it costs to find out whether it is good, a running job never pays.

Whoever edits files, or writes webhooks elsewhere, may hand in what takes minutes or gigabytes to read. The
process is started when it is first wanted, kept for the next config, and replaced when it is gone.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.compile.trial.helper import Gone, Helper, NoTrial
from pipeline.config.files import ConfigText, JobDefaults
from pipeline.model.errors import ConfigError, Stopped
from pipeline.model.findings import Finding
from pipeline.model.json import Value
from pipeline.model.process.bounds import USUAL, Bounds, Exceeded

CHILD = "pipeline.compile.trial.child"
_STOPPED = "the job stops"


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
        self._child: Helper | None = None
        self._stopped = False

    def prepare(self) -> None:
        """Start the process if there is none; it begins while its caller does something else.

        Raises NoTrial.
        """
        if self._child is not None and self._child.is_gone():
            self.close()
        if self._child is None:
            self._child = Helper(CHILD, lambda asked: self._environ.get(asked["variable"]))

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
            except Gone as gone:
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
