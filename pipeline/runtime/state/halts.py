"""Webhooks that are not sent to: disabled by a 410 or by a person, or paused. One small file each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

import orjson

from pipeline.model.disk import make_folder, remove_durably, replace_durably

Halt: TypeAlias = Literal["disabled", "paused", "gone"]


class Haltable(Protocol):
    """What the engine can be told of a webhook."""

    def enable(self, webhook_id: str) -> None:
        """Send again."""

    def disable(self, webhook_id: str, *, gone: bool = False) -> None:
        """Send nothing more; gone: until its definition changes."""

    def pause(self, webhook_id: str) -> None:
        """Send nothing for a while."""


class Halts:
    """The halted webhooks of a state directory; written by the job, or beside a stopped one."""

    def __init__(self, state: Path) -> None:
        self._folder = state / "halted"

    def set(self, webhook_id: str, halt: str | None, definition: str = "") -> None:
        """Remember a webhook's state; None: it is sent to again. On disk when this returns."""
        path = self._folder / f"{webhook_id}.json"
        if halt is None:
            remove_durably(path)
            return
        make_folder(self._folder)
        replace_durably(path, orjson.dumps({"halt": halt, "definition": definition}))

    def gone(self, webhook_id: str, definition: str) -> None:
        """Remember that a 410 ended a webhook, as long as its definition is this one."""
        self.set(webhook_id, "gone", definition)

    def get(self, webhook_id: str) -> tuple[str | None, str]:
        """Return a webhook's state (None: active) and the definition it was noted with."""
        try:
            found = orjson.loads((self._folder / f"{webhook_id}.json").read_bytes())
        except FileNotFoundError:
            return None, ""
        return found["halt"], found["definition"]

    def all(self) -> dict[str, str]:
        """Return the halted webhooks."""
        paths = sorted(self._folder.glob("*.json")) if self._folder.is_dir() else []
        return {path.stem: orjson.loads(path.read_bytes())["halt"] for path in paths}

    def lift(self, definitions: Mapping[str, str]) -> None:
        """End a 410's ban where the webhook's definition is another one now."""
        for webhook_id in self.all():
            halt, definition = self.get(webhook_id)
            if halt == "gone" and definitions.get(webhook_id, definition) != definition:
                self.set(webhook_id, None)

    def restore(self, engine: Haltable, definitions: Mapping[str, str]) -> None:
        """Tell a new engine."""
        self.lift(definitions)
        for webhook_id in self.all():
            self.apply(engine, webhook_id)

    def apply(self, engine: Haltable, webhook_id: str) -> None:
        """Tell the engine the state of one webhook."""
        halt, _ = self.get(webhook_id)
        if halt is None:
            engine.enable(webhook_id)
        elif halt == "paused":
            engine.pause(webhook_id)
        else:
            engine.disable(webhook_id, gone=halt == "gone")
