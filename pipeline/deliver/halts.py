"""Webhooks that are halted: disabled by a 410 or by a person, or paused. One small file each."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import orjson

from pipeline.model.errors import Refused, StateError
from pipeline.model.files.disk import make_folder, remove_durably, replace_durably

Halt: TypeAlias = Literal["disabled", "paused", "gone"]
Order: TypeAlias = Literal["enable", "disable", "pause", "resume"]
"""A person's order about a webhook: `enable` ends every halt, `resume` only a pause."""
LEADS_TO: dict[Order, Halt | None] = {
    "enable": None, "disable": "disabled", "pause": "paused", "resume": None,
}  # fmt: skip


def read_halt(path: Path) -> tuple[Halt, str]:
    """Return the halt that a file records. Raises StateError where it is damaged."""
    try:
        found = orjson.loads(path.read_bytes())
        halt, definition = found["halt"], found["definition"]
        if halt not in get_args(Halt) or not isinstance(definition, str):
            raise ValueError("no halt that is known")
    except (KeyError, TypeError, ValueError) as error:
        raise StateError(
            f"{path}: damaged ({error}); it says whether the webhook is disabled, paused or gone. Remove the "
            f"file, then say it again: `hookline webhook disable {path.stem}`, or `pause`; without it the "
            "webhook is sent to."
        ) from error
    return halt, definition


def halted(webhook_id: str, halt: Halt) -> str:
    """Return what to say of a webhook to which nothing is sent, and how to end that."""
    again = "resume" if halt == "paused" else "enable"
    return f"{webhook_id} is {halt}: `hookline webhook {again} {webhook_id}` sends again"


class Halts:
    """The halted webhooks of a state directory; written by the job, or beside a stopped one."""

    def __init__(self, state: Path) -> None:
        self._folder = state / "halted"
        self._lock = threading.RLock()
        """A 410 may arrive, on the engine's thread, between reading a webhook's file and changing it."""

    def obey(self, webhook_id: str, order: Order) -> None:
        """Store a person's order. Raises Refused where a halt other than a pause is in force.

        A pause would replace that halt, and its end would send to a receiver that is gone.
        """
        with self._lock:
            halt, _ = self.get(webhook_id)
            if order in ("pause", "resume") and halt not in (None, "paused"):
                why = "gone: its receiver answered 410" if halt == "gone" else "disabled"
                ends = "`resume` ends a pause only, " if order == "resume" else "nothing is sent to it, "
                raise Refused(
                    f"{webhook_id} is {why}; {ends}`hookline webhook enable {webhook_id}` sends again"
                )
            if LEADS_TO[order] != halt:
                self.set(webhook_id, LEADS_TO[order])

    def set(self, webhook_id: str, halt: Halt | None, definition: str = "") -> None:
        """Store a webhook's state; None: active. On disk when this returns."""
        path = self._folder / f"{webhook_id}.json"
        with self._lock:
            if halt is None:
                remove_durably(path)
                return
            make_folder(self._folder)
            replace_durably(path, orjson.dumps({"halt": halt, "definition": definition}))

    def gone(self, webhook_id: str, definition: str) -> None:
        """Store that a 410 ended a webhook, for as long as its definition stays the same."""
        self.set(webhook_id, "gone", definition)

    def get(self, webhook_id: str) -> tuple[Halt | None, str]:
        """Return a webhook's state (None: active) and the definition it was stored with."""
        try:
            return read_halt(self._folder / f"{webhook_id}.json")
        except FileNotFoundError:
            return None, ""

    def all(self) -> dict[str, Halt]:
        """Return the halted webhooks. Raises StateError for a damaged file."""
        found: dict[str, Halt] = {}
        for path in self.files():
            with suppress(FileNotFoundError):  # the halt has just ended
                found[path.stem] = read_halt(path)[0]
        return found

    def files(self) -> list[Path]:
        """Return the files of the halted webhooks."""
        return sorted(self._folder.glob("*.json")) if self._folder.is_dir() else []

    def lift(self, definitions: Mapping[str, str]) -> None:
        """End a 410's halt where the webhook's definition has changed."""
        with self._lock:
            for webhook_id in self.all():
                halt, definition = self.get(webhook_id)
                if halt == "gone" and definitions.get(webhook_id, definition) != definition:
                    self.set(webhook_id, None)

    def restore(self, tell: Callable[[str, Halt], None], definitions: Mapping[str, str]) -> None:
        """Tell a new engine."""
        self.lift(definitions)
        for webhook_id, halt in self.all().items():
            tell(webhook_id, halt)
