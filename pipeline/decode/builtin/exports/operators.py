"""What a call says of a user's properties by operators: ``$set``, ``$unset``, ``$add``, ...

Amplitude's and Mixpanel's calls have the same operators under other names.
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
    """What is to be done to a user's properties."""

    set: Fields = field(default_factory=dict)
    set_once: Fields = field(default_factory=dict)
    unset: tuple[str, ...] = ()
    delete: bool = False
    unsaid: list[str] = field(default_factory=list)
    """Operators that no set, set once or unset says, with the properties they are for."""

    def __bool__(self) -> bool:
        return bool(self.set or self.set_once or self.unset or self.delete)

    def unset_first(self) -> None:
        """Have what is unset be so before the rest is set: in an update it is what comes last."""
        for name in self.unset:
            if name in self.set_once:
                self.set.setdefault(name, self.set_once[name])
        self.unset = tuple([name for name in self.unset if name not in self.set])


def read_changes(operations: Fields, meanings: Mapping[str, Meaning]) -> Changes:
    """Return what the operators say; fields that are none are not looked at. Raises InvalidRecord."""
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
    """Return the dead letter of operators that cannot be followed; empty where there is none."""
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
    """Return the update of a user by (user id, anonymous id), at (time, received at)."""
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
    """Return a record as text, whatever it holds."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        return json.dumps(value, default=repr).encode()
