"""Tries a config in another process, so that a bad one costs the running job nothing.

An edited or submitted config may take minutes or gigabytes to read. The process is started on first use, kept
for the next config, and replaced when it is gone.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.compile.trial.helper import Standby
from pipeline.config.files import ConfigText, JobDefaults
from pipeline.model.findings import Finding
from pipeline.model.process.bounds import USUAL, Bounds

CHILD = "pipeline.compile.trial.child"


@dataclass(slots=True, frozen=True)
class Tried:
    """The result of trying a config."""

    text: ConfigText | None
    """What was read; None where it has errors."""
    findings: tuple[Finding, ...]
    """Errors first; of very many only the first ones."""
    beside: tuple[str, ...]
    """What `watched_files` says of it."""
    root: str = ""


class Trial:
    """The other process, for one user at a time."""

    def __init__(self, bounds: Bounds = USUAL, environ: Mapping[str, str] = os.environ) -> None:
        """environ: where the variables that configs name are looked up."""
        self._bounds = bounds
        self._standby = Standby(CHILD, lambda asked: environ.get(asked["variable"]))

    def prepare(self) -> None:
        """Start the process if there is none; it starts up while the caller does something else.

        Raises NoTrial.
        """
        self._standby.prepare()

    def read(self, directory: Path, defaults: JobDefaults) -> Tried:
        """Read a config directory and compile it. Raises ConfigError (Exceeded) and NoTrial."""
        root = str(directory)
        request = {"directory": root, "defaults": defaults.to_data()}
        answer = self._standby.ask(request, self._bounds, root)
        findings = tuple(Finding(**one) for one in answer["findings"])
        data = answer["text"]
        text = None if data is None else ConfigText.from_data(data, root)
        return Tried(text, findings, tuple(answer["beside"]), root)

    def stop(self) -> None:
        """End the process for whoever waits for it in another thread; nothing is tried any more."""
        self._standby.stop()

    def close(self) -> None:
        """End the process."""
        self._standby.close()
