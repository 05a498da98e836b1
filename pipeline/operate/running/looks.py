"""What may be seen of a running job, of all its processes as one: samples, names, the last attempts; and a
test send.

All of it is in the job's memory: a job that is stopped shows nothing of it (NotRunning).
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeVar

from pipeline.admin.socket_client import NotRunning, ask
from pipeline.model.errors import Refused, UsageError
from pipeline.model.json import Value

T = TypeVar("T")

MOST: Final = 1_000
"""Samples of all processes together."""
FRESH_SECS: Final = 5.0
"""How long answers are reused: the job decodes what it shows, and not for every keystroke."""
NOTHING: Final[Mapping[str, Value]] = MappingProxyType({"events": {}, "user_properties": {}})
"""The catalog before anything was seen."""


@dataclass(slots=True, frozen=True)
class Sample:
    """A record that the job read recently, or one that a person brought."""

    id: str
    """``process-number``: stable while the job runs."""
    at: str
    """When it was read, ISO 8601."""
    records: tuple[Value, ...]
    """Its records in Hookline's own shape, several of a batch; ``{"invalid": reason}`` if unreadable."""
    line: str | None = None
    """The raw line; None where it is too large."""
    origin: str = ""
    size: int = 0
    format: str = "native"
    fault: str | None = None
    properties: Value = None
    """Its user's properties, if it came with one; None: as the job knows them."""

    @property
    def events(self) -> tuple[str, ...]:
        """Names of its events."""
        return tuple(str(one["name"]) for one in self.records if "name" in one)

    @property
    def user(self) -> str | None:
        """The user of its first record: a user id, else an anonymous id."""
        for one in self.records:
            who = one.get("user_id") or one.get("anonymous_id")
            if who:
                return str(who)
        return None

    def to_json(self) -> dict[str, Value]:
        """Return the fields."""
        return {
            "id": self.id,
            "at": self.at,
            "events": [*self.events],
            "user": self.user,
            "records": [*self.records],
            "line": self.line,
            "origin": self.origin,
            "bytes": self.size,
            "format": self.format,
            "fault": self.fault,
            "properties": self.properties,
        }


class Looks:
    """What a job shows, asked once on behalf of many. Thread-safe.

    Of a job that has ended, the last answer stays.
    """

    def __init__(self, state: Path) -> None:
        self._state = state
        self._lock = threading.Lock()
        self._samples: tuple[float, list[Sample]] = (float("-inf"), [])
        self._catalog: tuple[float, dict[str, Value]] = (float("-inf"), dict(NOTHING))

    def samples(self, event: str | None = None) -> list[Sample]:
        """Return the samples, newest first, at most `FRESH_SECS` old; event: only with one of this name."""
        with self._lock:
            self._samples = self._fresh(self._samples, samples)
            found = self._samples[1]
        return [one for one in found if event is None or event in one.events]

    def catalog(self) -> dict[str, Value]:
        """Return the names and properties seen (`catalog`), at most `FRESH_SECS` old."""
        with self._lock:
            self._catalog = self._fresh(self._catalog, catalog)
            return self._catalog[1]

    def _fresh(self, kept: tuple[float, T], asked: Callable[[Path], T]) -> tuple[float, T]:
        at, found = kept
        if time.monotonic() - at <= FRESH_SECS:
            return kept
        with contextlib.suppress(NotRunning):
            found = asked(self._state)
        return time.monotonic(), found


def samples(state: Path, *, event: str | None = None, limit: int = MOST) -> list[Sample]:
    """Return the newest samples first, of all processes; event: only those with an event of this name.

    Raises NotRunning, and HooklineError with the job's error.
    """
    found = [
        _sample(process, one)
        for process, answer in enumerate(ask(state, "samples", limit=limit, event=event))
        for one in answer
    ]
    found.sort(key=lambda one: one.at, reverse=True)
    return found[:limit]


def _sample(process: int, one: Value) -> Sample:
    return Sample(
        f"{process}-{one['number']}",
        one["at"],
        tuple(one["records"]),
        one["line"],
        one["origin"],
        one["bytes"],
        one["format"],
        one["fault"],
    )


def catalog(state: Path) -> dict[str, Value]:
    """Return event names and properties seen: ``{"events": {NAME: {sampled, last_at, properties: {NAME:
    {count, types, example}}}}, "user_properties": {...}}``, summed over all processes.

    Counts are of samples. Raises as `samples` does.
    """
    events: dict[str, Value] = {}
    user: dict[str, Value] = {}
    for answer in ask(state, "catalog"):
        for name, one in answer["events"].items():
            known = events.setdefault(name, {"sampled": 0, "last_at": None, "properties": {}})
            known["sampled"] += one["sampled"]
            known["last_at"] = max(filter(None, (known["last_at"], one["last_at"])), default=None)
            _add(known["properties"], one["properties"])
        _add(user, answer["user_properties"])
    ordered = sorted(events.items(), key=lambda item: (-item[1]["sampled"], item[0]))
    return {"events": dict(ordered), "user_properties": dict(sorted(user.items()))}


def _add(known: dict[str, Value], more: dict[str, Value]) -> None:
    for name, one in more.items():
        found = known.setdefault(name, {"count": 0, "types": [], "example": None})
        found["count"] += one["count"]
        found["types"] += [kind for kind in one["types"] if kind not in found["types"]]
        if found["example"] is None:
            found["example"] = one["example"]


def attempts(state: Path, webhook: str | None = None, *, limit: int = 1000) -> list[dict[str, Value]]:
    """Return the recent attempts, newest first: all failures that fit into memory, and a sample of the
    successes.

    webhook: its id; None: all. Raises as `samples` does, UsageError for an unknown webhook.
    """
    answers = ask(state, "attempts", webhook=webhook, limit=limit)
    found = [one for answer in answers if "problem" not in answer for one in answer]
    if not found and all("problem" in answer for answer in answers):
        raise UsageError(answers[0]["problem"])
    found.sort(key=lambda one: str(one["at"]), reverse=True)
    return found[:limit]


def send_test(
    state: Path, webhook: str, record: Value, user: Value = None, files: Mapping[str, str] | None = None
) -> dict[str, Value]:
    """Have the job send a webhook's request for one record, once, with its secrets, to its real URL.

    record: in Hookline's own shape. user: their properties; None: as the job knows them now. files: unsaved
    texts, by name, that replace what the job runs. Returns holds (whether the trigger holds), request, and
    answer: outcome, status, reason, response, elapsed_ms; None where the request cannot be rendered. Raises
    NotRunning with the remedy, UsageError, ConfigError.
    """
    try:
        answers = ask(
            state,
            "send-test",
            webhook=webhook,
            record=record,
            user=user,
            files=dict(files) if files else None,
        )
    except NotRunning:
        raise NotRunning(
            "the job is stopped, and a test is sent by the job, with its secrets: start it, or send one with "
            f"`hookline send --webhook {webhook} --event FILE`"
        ) from None
    found = next((answer for answer in answers if answer is not None), None)
    if found is None:
        raise Refused("the process of the job that sends tests does not answer: try again")
    if "problem" in found:
        raise UsageError(found["problem"])
    sent: dict[str, Value] = found
    return sent


def with_examples(found: Mapping[str, Value], shown: Callable[[str, Value], Value]) -> dict[str, Value]:
    """Return a catalog whose examples, which are data of real events, are as the viewer may see them.

    shown: called with a property's name and example.
    """

    def changed(properties: Mapping[str, Value]) -> dict[str, Value]:
        return {name: {**one, "example": shown(name, one["example"])} for name, one in properties.items()}

    return {
        "events": {
            name: {**one, "properties": changed(one["properties"])} for name, one in found["events"].items()
        },
        "user_properties": changed(found["user_properties"]),
    }
