"""Operators in a call that change a user's properties: ``$set``, ``$unset``, ``$add``, ...

Amplitude and Mixpanel have the same operators under different names.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import orjson

from pipeline.decode.raw import fields
from pipeline.decode.raw.fields import Fields, Place
from pipeline.model.records import Invalid, PropertyUpdate, Record

Meaning: TypeAlias = Literal["set", "set_once", "unset", "delete", "unsaid"]


@dataclass(slots=True)
class Changes:
    """The changes to a user's properties."""

    set: Fields = field(default_factory=dict)
    set_once: Fields = field(default_factory=dict)
    unset: tuple[str, ...] = ()
    delete: bool = False
    unsaid: list[str] = field(default_factory=list)
    """Operators that set, set once and unset cannot express, with the properties they apply to."""

    def __bool__(self) -> bool:
        return bool(self.set or self.set_once or self.unset or self.delete)

    def unset_first(self) -> None:
        """Apply the unsets before the sets: in an update they would come last."""
        for name in self.unset:
            if name in self.set_once:
                self.set.setdefault(name, self.set_once[name])
        self.unset = tuple([name for name in self.unset if name not in self.set])


def read_changes(operations: Fields, meanings: Mapping[str, Meaning]) -> Changes:
    """Return the changes that the operators make; other fields are ignored. Raises InvalidRecord."""
    found = Changes()
    for name, value in operations.items():
        match meanings.get(name):
            case "set":
                found.set.update(fields.mapping(operations, name))
            case "set_once":
                found.set_once.update(fields.mapping(operations, name))
            case "unset":
                found.unset += fields.names(operations, name)
            case "delete":
                found.delete = True
            case "unsaid":
                of = ", ".join(f"`{one:.40}`" for one in list(value)[:5]) if type(value) is dict else ""
                found.unsaid.append(f"`{name}`" + (f" of {of}" if of else ""))
    return found


def unsaid(changes: Changes, fields_: Fields, place: Place) -> list[Record]:
    """Return the dead letter for operators that cannot be applied; empty where there are none."""
    if not changes.unsaid:
        return []
    reason = (
        f"{' and '.join(changes.unsaid)} cannot be followed: properties are set, set once and unset here, "
        "not counted up or put into lists. Send the whole value by `$set`; what else the record says is kept"
    )
    return [Invalid(dumps(fields_) if place.raw is None else place.raw, reason, place.origin)]


def update(
    changes: Changes,
    place: Place,
    call_id: str | None,
    ids: tuple[str | None, str | None],
    times: tuple[int | None, int | None],
    source: str | None = None,
) -> PropertyUpdate:
    """Return the update of a user, given (user id, anonymous id) and (time, received at)."""
    return PropertyUpdate(
        call_id,
        *ids,
        *times,
        source,
        changes.set,
        changes.set_once,
        changes.unset,
        place.origin,
        changes.delete,
    )


def dumps(value: Fields) -> bytes:
    """Return a record as text, whatever it contains."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        return json.dumps(value, default=repr).encode()
