"""The first look of a custom shape: is a line certainly a valid event that no webhook wants?

It reads the top-level fields that decide this and skips the rest, which is still checked as JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypedDict

import msgspec

from pipeline.config.models.shape import EventPart
from pipeline.decode.glance.glance import Wants
from pipeline.decode.mapped.entries import Entry
from pipeline.decode.mapped.fast_path.writing import Unwanted, simple, write_unwanted
from pipeline.decode.mapped.objects import REST
from pipeline.decode.mapped.values.forms import is_form
from pipeline.decode.mapped.values.prices import longest_cheap
from pipeline.decode.work import begin_work, nothing
from pipeline.language.path_syntax import Path
from pipeline.language.record_paths import RECORD, first_name
from pipeline.language.work import TooExpensive
from pipeline.model.json import Value, leaves


class _Object(msgspec.Struct, gc=False):
    """An object that is checked but not read."""


def compile_look(entries: Sequence[Entry]) -> Callable[[bytes, Wants], bool] | None:
    """Return the look; None where no event can be recognised by a few fields of its record."""
    needed: dict[str, Any] = {}
    good: dict[str, Unwanted] = {}
    for entry in entries:
        if entry.judge is not None:
            names = _names(entry.judge.paths) if entry.judge.of_record else None
            if names is None:
                break  # later entries depend on more than the record's fields
            needed |= dict.fromkeys(names, Any)
        fields = _told_by(entry)
        member = entry.only_event
        if fields is not None and member and member.model and member.reads:
            good[entry.name] = write_unwanted(member.model, member.reads)
            needed |= {name: kind for name, kind in fields.items() if needed.get(name) is not Any}
        if entry.judge is None:
            break  # nothing gets past it except records that lack its paths
    return _look([entry for entry in entries if entry.name in good or entry.judge is not None], good, needed)


def _look(
    entries: Sequence[Entry], good: dict[str, Unwanted], needed: dict[str, Any]
) -> Callable[[bytes, Wants], bool] | None:
    if not good:
        return None
    read = msgspec.json.Decoder(TypedDict("_Look", needed, total=False)).decode  # type: ignore[operator]  # made here
    ways = tuple(
        (None if entry.judge is None else entry.judge.predicate, good.get(entry.name)) for entry in entries
    )
    event, user = nothing()
    models = [entry.events[0].model for entry in entries if entry.name in good]
    values = [value for model in models if model is not None for value in model.__dict__.values()]
    longest = longest_cheap(values)

    def look(line: bytes, wants: Wants) -> bool:
        if len(line) > longest:
            return False  # what is not read here may exceed the budget
        here = read(line)
        scope = {RECORD: here}
        try:
            for holds, unwanted in ways:
                if holds is None or holds(event, user, scope):
                    return unwanted is not None and bool(unwanted(here, wants))
        except TooExpensive:
            begin_work()
        except Exception:
            return False  # decode reports what is wrong with it, a fault of ours included
        return False

    return look


def _told_by(entry: Entry) -> dict[str, Any] | None:
    """Return the top-level fields that decide whether an entry's only event is valid.

    None where more must be read.
    """
    member = entry.only_event
    if member is None or member.model is None:
        return None
    model = member.model
    objects: dict[str, Any] = {}
    unread: set[str] = set()
    for value in (model.properties, model.context):
        if value is None or value == REST:
            continue
        if isinstance(value, dict) and not is_form(value):
            if _may_cost(value):
                return None
            unread |= set(_texts(value))
            continue
        name = _field(value)
        if name is None:
            return None
        objects[name] = _Object | None
        unread.add(value)
    paths = [path for path in entry.paths if path.text not in unread or path.text in _scalar_texts(model)]
    names = _names(paths)
    return None if names is None else objects | dict.fromkeys(names, Any)


def _names(paths: Iterable[Path]) -> list[str] | None:
    """Return the top-level fields with which paths begin; None where one begins with none, or loops."""
    names = []
    for path in paths:
        name = first_name(path)
        if name is None or path.has_any:
            return None
        names.append(name)
    return names


def _field(value: Value) -> str | None:
    """Return the field's name where a path is a single top-level field."""
    names = simple(value)
    return names[0] if names is not None and len(names) == 1 else None


def _may_cost(value: Value) -> bool:
    """Return whether a map of properties contains something that may exceed the budget, or fail."""
    if isinstance(value, dict):
        return "pairs" in value or any(map(_may_cost, value.values()))
    if isinstance(value, list):
        return any(map(_may_cost, value))
    return isinstance(value, str) and "[*]" in value.replace(" ", "")


def _texts(value: Value) -> Iterable[str]:
    return (one for _, one in leaves(value) if isinstance(one, str))


def _scalar_texts(model: EventPart) -> set[str]:
    """Return every text that may be a path, except those of the objects."""
    scalars = (
        model.name, model.kind, model.user_id, model.anonymous_id, model.id, model.time, model.received_at,
        model.source,
    )  # fmt: skip
    return {text for value in scalars for text in _texts(value)}
