"""The filters of a tap, the same as flags, as a console's query and in the admin command."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Final, get_args

from pipeline.job.tap.wanted import USUAL, Payload
from pipeline.model.errors import UsageError
from pipeline.model.json import Value
from pipeline.model.words import one_of

_LISTS: Final = {"stage": "stages", "status": "statuses", "outcome": "outcomes"}
"""Flags that take several words separated by commas."""
_MANY: Final = {"webhook": "webhooks", "event": "events"}
"""Flags that are given several times."""
_ONE: Final = {"user": "user", "id": "message", "where": "where"}
NAMES: Final = (*_LISTS, *_MANY, *_ONE, "why", "payload", "rate")
"""Every name that a query may have."""


@dataclass(slots=True, frozen=True)
class Filters:
    """The filters of one tap. The job validates them."""

    stages: tuple[str, ...] = USUAL
    webhooks: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    user: str | None = None
    message: str | None = None
    statuses: tuple[str, ...] = ()
    outcomes: tuple[str, ...] = ()
    where: str | None = None
    why: bool = False
    payload: Payload = "short"
    rate: int = 100

    @classmethod
    def of_query(cls, query: Mapping[str, Sequence[str]], more: Collection[str] = ()) -> Filters:
        """Return the filters in a query, each with all its values; more: names that are not ours.

        Raises UsageError for an unknown name, an invalid number or payload.
        """
        found: dict[str, Value] = {}
        for name in query:
            if name not in more:
                one_of(name, NAMES, "filter")
        for name, field in _LISTS.items():
            found[field] = words(",".join(query.get(name, ())))
        for name, field in _MANY.items():
            found[field] = tuple(one.strip() for one in query.get(name, ()) if one.strip())
        for name, field in _ONE.items():
            found[field] = _last(query, name) or None
        found["why"] = _last(query, "why") not in ("", "0", "false", "no")
        given = _last(query, "payload") or "short"
        if given not in get_args(Payload):
            raise UsageError(f"`payload` is none, short or full, not {given!r}")
        rate = (_last(query, "rate") or "100").removesuffix("/s")
        if not (rate.isascii() and rate.isdecimal() and len(rate) < 10):
            raise UsageError(f"`rate` is a number of lines a second, not {rate!r}")
        stages = found.pop("stages") or usual_stages(
            why=found["why"], answers=bool(found["statuses"] or found["outcomes"])
        )
        return cls(stages=stages, payload=given, rate=int(rate), **found)  # type: ignore[arg-type] # one of them

    def arguments(self) -> dict[str, Value]:
        """Return the arguments of the admin command `tap`."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def query(self) -> list[tuple[str, str]]:
        """Return the equivalent names and values of a console's query."""
        found = [(name, ",".join(getattr(self, field))) for name, field in _LISTS.items()]
        found += [(name, one) for name, field in _MANY.items() for one in getattr(self, field)]
        found += [(name, getattr(self, field) or "") for name, field in _ONE.items()]
        found += [("why", "1" if self.why else ""), ("payload", self.payload), ("rate", str(self.rate))]
        return [(name, value) for name, value in found if value]

    def command(self) -> str:
        """Return the command that shows the same in a terminal."""
        return shlex.join(["hookline", "tap", *self._flags()])

    def _flags(self) -> Iterator[str]:
        usual = usual_stages(why=self.why, answers=bool(self.statuses or self.outcomes))
        for name, value in self.query():
            if name == "why":
                yield "--why"
            elif name == "payload":
                yield from {"none": ["--no-payload"], "full": ["--full"]}.get(value, [])
            elif name == "rate":
                yield from ["--rate", f"{value}/s"] if value != "100" else []
            elif name != "stage" or self.stages != usual:
                yield from [f"--{name}", value]

    def without_payload(self) -> Filters:
        """Return the filters for who may not see payloads. Raises UsageError where they ask about those."""
        asked = [f"`{name}`" for name in ("where", "user") if getattr(self, name) is not None]
        if asked:
            raise UsageError(f"{' and '.join(asked)}: your role may not ask about what events and users hold")
        return replace(self, payload="none")


def _last(query: Mapping[str, Sequence[str]], name: str) -> str:
    return query[name][-1].strip() if query.get(name) else ""


def words(text: str) -> tuple[str, ...]:
    """Split a list with commas into words."""
    return tuple(word.strip() for word in text.split(",") if word.strip())


def usual_stages(*, why: bool, answers: bool) -> tuple[str, ...]:
    """Return the stages meant where none is named: those that the other filters concern."""
    if why:
        return ("unmatched",)
    return ("sent", "dead") if answers else USUAL


def redacted(line: Mapping[str, Value], hidden: str) -> dict[str, Value]:
    """Return a line for a viewer without access to payloads: ids, answers and seen values are `hidden`."""
    found = {name: value for name, value in line.items() if name not in _PAYLOAD}
    for name in ("user", "response"):
        if found.get(name) is not None:
            found[name] = hidden
    if "why" in found:
        found["why"] = [one | {"value": hidden} if "value" in one else one for one in found["why"]]
    return found


_PAYLOAD: Final = frozenset({"record", "known", "before", "request", "raw"})
