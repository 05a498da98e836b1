"""The child process that reads and compiles configs (``python -m pipeline.compile.trial.child``).

It has no environment variables except those that a config names, which it requests one by one. It ends with
its parent, and at the parent's bounds (`model/process/bounds.py`).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pipeline.compile.snapshot import Snapshot, compile_config
from pipeline.compile.trial.desk import AskBack, AskedFor, keep_desk
from pipeline.config.files import JobDefaults, read_config, watched_files
from pipeline.language.secrets import Secrets
from pipeline.model.findings import Finding
from pipeline.model.json import Value

SHOWN = 200
"""Maximum number of findings reported."""


class Child:
    """Answers requests; keeps the last good version, so that the next edit recompiles only what
    it changes.
    """

    def __init__(self, ask: AskBack) -> None:
        self._environ = AskedFor(ask)
        self._last: Snapshot | None = None
        self._secrets = Secrets(self._environ)

    def answer(self, request: dict[str, Value]) -> Value:
        """Return what is wrong with a config, its text where nothing is, and the list files to watch."""
        before, base = self._last, Path(request["directory"])
        defaults = JobDefaults.from_data(request["defaults"])
        known = None if before is None else before.text
        text = read_config(base, environ=self._environ, defaults=defaults, before=known)
        secrets = Secrets(self._environ, base)
        if before is not None and not self._secrets.agree(secrets):
            before = None
        report = compile_config(text, secrets=secrets, before=before)
        if report.snapshot is not None:
            self._last, self._secrets = report.snapshot, secrets
        return {
            "findings": bounded(report.findings),
            "beside": watched_files(text),
            "text": None if report.snapshot is None else text.to_data(),
        }


def bounded(found: Iterable[Finding]) -> list[Finding]:
    """Return findings as sent in a message: errors first; of very many only the first ones."""
    findings = sorted(found, key=lambda one: one.warning)
    more = len(findings) - SHOWN
    if more > 0:
        message = f"and {more:,} more: `hookline check` shows all"
        findings[SHOWN:] = [Finding("", 0, 0, "more", message, warning=findings[SHOWN].warning)]
    return findings


def main() -> None:
    """Answer until the parent is gone."""
    keep_desk(lambda ask: Child(ask).answer)


if __name__ == "__main__":
    main()
