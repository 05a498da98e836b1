"""The process that reads and compiles configs for another one (``python -m pipeline.compile.trial.child``).

It has no variable of the environment but those that a config names, which it asks for one by one. It ends
with the process that started it, and at the bounds of that one (`model/process/bounds.py`).
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline.compile.snapshot import Report, Snapshot, compile_config
from pipeline.compile.trial.wire import receive, send
from pipeline.config.files import ConfigText, JobDefaults, read_config, wanted_lists
from pipeline.language.secrets import Secrets
from pipeline.model.errors import ConfigError
from pipeline.model.findings import Finding
from pipeline.model.json import Value
from pipeline.model.process.bounds import Allowance, Bounds, address_space
from pipeline.model.process.lifeline import hold
from pipeline.model.process.private import keep_private
from pipeline.model.process.under_way import telling

NICE = 5
"""The job comes first."""
PLACE_BYTES = 512
VARIABLES = 10_000
"""Variables that are asked for: each takes the other process a moment."""
SHOWN = 200
"""Findings that are told."""


class AskedFor(Mapping[str, str]):
    """The environment of the other process: a variable is asked for when it is looked up."""

    def __init__(self, inbox: int, outbox: int) -> None:
        self._inbox, self._outbox = inbox, outbox
        self._known: dict[str, str | None] = {}

    def __getitem__(self, name: str) -> str:
        if name not in self._known:
            if len(self._known) >= VARIABLES:
                raise ConfigError(f"the config names more than {VARIABLES:,} variables")
            send(self._outbox, {"variable": name})
            self._known[name] = receive(self._inbox)["value"]
        value = self._known[name]
        if value is None:
            raise KeyError(name)
        return value

    def __iter__(self) -> Iterator[str]:
        return iter([name for name, value in self._known.items() if value is not None])

    def __len__(self) -> int:
        return sum(1 for _ in self)


class Child:
    """Answers requests; keeps the last good version, so that the next edit compiles what it changes."""

    def __init__(self, inbox: int, outbox: int, place: int) -> None:
        self._environ = AskedFor(inbox, outbox)
        self._place = place
        self._steps = 0
        self._base = address_space()
        self._last: Snapshot | None = None
        self._secrets = Secrets(self._environ)

    def answer(self, request: dict[str, Any]) -> Value:
        """Return what is wrong with a config, its text where nothing is, and the list files to watch."""
        allowance = Allowance(Bounds(**request["bounds"]), self._base)

        def told(file: str) -> None:
            allowance.begins(file)
            self._steps += 1
            said = f"{self._steps} {file}".encode()[: PLACE_BYTES - 1]
            os.pwrite(self._place, said + b"\0", 0)

        try:
            with telling(told):
                return self._tried(request)
        except MemoryError:
            self._last = None
            return {"exceeded": allowance.file}
        except ConfigError as error:
            return {"problem": str(error)}
        finally:
            allowance.end()

    def _tried(self, request: dict[str, Any]) -> Value:
        before = self._last
        if "text" in request:
            base = Path(request["root"])
            text = ConfigText.from_data(request["text"], request["root"])
        else:
            base = Path(request["directory"])
            defaults = JobDefaults.from_data(request["defaults"])
            known = None if before is None else before.text
            text = read_config(base, environ=self._environ, defaults=defaults, before=known)
        secrets = Secrets(self._environ, base)
        if before is not None and not self._secrets.agree(secrets):
            before = None
        report = compile_config(text, secrets=secrets, before=before)
        if report.snapshot is not None:
            self._last, self._secrets = report.snapshot, secrets
        return _told(text, report)


def _told(text: ConfigText, report: Report) -> Value:
    findings = sorted(report.findings, key=lambda one: one.warning)
    more = len(findings) - SHOWN
    if more > 0:
        message = f"and {more:,} more: `hookline check` shows all"
        findings[SHOWN:] = [Finding("", 0, 0, "more", message, warning=findings[SHOWN].warning)]
    return {
        "findings": [_as_data(one) for one in findings],
        "lists": wanted_lists(text),
        "text": None if report.snapshot is None else text.to_data(),
    }


def _as_data(finding: Finding) -> Value:
    return {name: getattr(finding, name) for name in Finding.__slots__}


def main() -> None:
    """Answer until the other process is gone."""
    hold()
    keep_private()
    signal.signal(signal.SIGXCPU, signal.SIG_DFL)
    os.nice(NICE)
    outbox = os.dup(1)
    os.dup2(2, 1)  # what anybody prints is no message
    place = int(sys.argv[1])
    child = Child(0, outbox, place)
    send(outbox, {"ready": True})
    while True:
        try:
            request = receive(0)
        except EOFError:
            return
        answer = child.answer(request)
        send(outbox, answer)
        if "exceeded" in answer:
            return  # another one begins with memory in order


if __name__ == "__main__":
    main()
