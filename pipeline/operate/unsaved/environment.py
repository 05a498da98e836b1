"""Which variables a config may use: the running job's, else those of this process.

About secrets the job only says whether it has them. One that the job has and this process does not is known
by name only: its value is not checked, and it does not count as missing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeline.admin.socket_client import NotRunning, ask
from pipeline.model.errors import HooklineError
from pipeline.model.json import Value

FRESH_SECS: Final = 2.0
"""How long the job's answer is reused."""


@dataclass(slots=True, frozen=True)
class SecretState:
    """A ``${NAME}`` or ``${file:path}`` of a config, without its value."""

    name: str
    """``NAME`` or ``file:path``."""
    is_set: bool
    """Whether the job has a value; without a job, whether this process has."""
    webhooks: tuple[str, ...] = ()
    """Ids of the webhooks that use it; empty: pipeline.yaml, a label or a base alone."""
    setting: bool = False
    """True: a plain setting, such as a URL's host, whose value is not secret."""
    has_default: bool = False
    """True where every use of it has a default (``${NAME:-x}``)."""
    age_secs: float | None = None
    """Since the file was changed; None for variables."""

    def to_json(self) -> dict[str, Value]:
        """Return the fields."""
        return {
            "name": self.name,
            "set": self.is_set,
            "webhooks": [*self.webhooks],
            "setting": self.setting,
            "has_default": self.has_default,
            "age_secs": self.age_secs,
        }


class Environment:
    """The variables of a job, or of this process while none runs."""

    def __init__(self, state: Path | None, environ: Mapping[str, str]) -> None:
        self._state = state
        self._environ = environ
        self._lock = threading.Lock()
        self._at = float("-inf")
        self._set: dict[str, bool] | None = None
        """The variables that the job has; None: none runs."""
        self._settings: dict[str, str] = {}
        self._version = 0

    def refresh(self) -> int:
        """Ask the job again if its answer is old; return a number that changes with the answer."""
        with self._lock:
            if time.monotonic() - self._at > FRESH_SECS:
                before = self._set, self._settings
                self._set, self._settings = self._asked([*self._set] if self._set is not None else [])
                self._at = time.monotonic()
                if before != (self._set, self._settings):
                    self._version += 1
            return self._version

    def is_set(self, name: str) -> bool:
        """Return whether a variable is set where requests are sent from."""
        if self._set is None:
            return bool(self._environ.get(name))
        if name not in self._set:
            found, _ = self._asked([name])
            if found is None:  # it has just ended
                return bool(self._environ.get(name))
            self._set[name] = found.get(name, False)
        return self._set[name]

    def value(self, name: str) -> str | None:
        """Return a variable's value as far as it is known here; None where it is unset, or known by name
        only.

        The job tells the values of plain settings.
        """
        if self._set is None:
            return self._environ.get(name)
        if not self.is_set(name):
            return None
        return self._settings.get(name, self._environ.get(name))

    def beginning(self, prefix: str) -> dict[str, str]:
        """Return the variables of this process whose names start like this."""
        return {name: value for name, value in self._environ.items() if name.startswith(prefix)}

    def secrets(self, uses: Mapping[str, Value]) -> dict[str, SecretState]:
        """Return what is known of everything that a config names. uses: see `secret_uses`."""
        self.refresh()
        return {
            name: SecretState(
                name,
                use["readable"] if use["file"] else self.is_set(name),
                tuple(use["webhooks"]),
                use["setting"],
                use["has_default"],
                use["age_secs"],
            )
            for name, use in uses.items()
        }

    def _asked(self, names: list[str]) -> tuple[dict[str, bool] | None, dict[str, str]]:
        if self._state is None:
            return None, {}
        try:
            answers = ask(self._state, "secrets", names=names)
        except NotRunning:
            return None, {}
        except HooklineError:  # one that is stopping, or of an older version
            return self._set, self._settings
        told = answers[0]
        found = {name: bool(one["set"]) for name, one in told["secrets"].items()}
        return found, dict(told["settings"])
