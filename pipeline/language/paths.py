"""Paths compiled to functions that read them, and the views behind ``{{ event }}`` and ``{{ user }}``.

Reading never raises: a step that leads nowhere gives `MISSING`. The grammar is in path_syntax.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Final, TypeAlias

from pipeline.language.path_syntax import ANY, EVENT_ROOTS, Part, Path
from pipeline.language.work import spend
from pipeline.model.json import Value
from pipeline.model.records import MISSING, Event, Missing, User
from pipeline.model.times import format_iso

Scope: TypeAlias = Mapping[str, Value] | None
"""Values of the roots beside event, user and vars: item, index, items, response."""
Getter: TypeAlias = Callable[[Event, User, Scope], Value | Missing]


def event_view(event: Event) -> dict[str, Value]:
    """Return what ``{{ event }}`` is: every field but origin and elements; unknown ones are left out."""
    view: dict[str, Value] = {}
    if event.id is not None:
        view["id"] = event.id
    view["name"] = event.name
    view["kind"] = event.kind
    for name, ms in (("time", event.time), ("received_at", event.received_at)):
        at = _iso(ms)
        if at is not MISSING:
            view[name] = at
    if event.source is not None:
        view["source"] = event.source
    if event.user_id is not None:
        view["user_id"] = event.user_id
    if event.anonymous_id is not None:
        view["anonymous_id"] = event.anonymous_id
    view["properties"] = event.properties
    view["context"] = event.context
    return view


def user_view(user: User) -> dict[str, Value]:
    """Return what ``{{ user }}`` is: id (left out where it is unknown), identified and properties."""
    if user.id is None:
        return {"identified": user.identified, "properties": user.properties}
    return {"id": user.id, "identified": user.identified, "properties": user.properties}


def _iso(ms: int | None) -> str | Missing:
    if ms is None:
        return MISSING
    try:
        return format_iso(ms)
    except (OverflowError, ValueError):
        return MISSING  # a time outside the years 1 to 9999 has no text


def compile_time(path: Path) -> Callable[[Event], int | None] | None:
    """Return a reader of the milliseconds behind ``event.time`` and ``event.received_at``, else None.

    For callers that would otherwise parse the printed time again.
    """
    if path.root != "event" or path.parts not in (("time",), ("received_at",)):
        return None
    return attrgetter(str(path.parts[0]))


def compile_identity(paths: Sequence[Path], vars: Mapping[str, Value]) -> Getter:
    """Return a function that reads the value by which events are told apart.

    One path: its value. Several: the list of their values, or MISSING where one is missing or null.
    ``event.id`` stands for the event's identity: the id with its scope, where it has one.
    """
    getters = [_event_identity if path.reads_event_id else compile_path(path, vars) for path in paths]
    if len(getters) == 1:
        return getters[0]

    def all_of(event: Event, user: User, scope: Scope) -> Value | Missing:
        values = []
        for getter in getters:
            value = getter(event, user, scope)
            if value is MISSING or value is None:
                return MISSING
            values.append(value)
        return values

    return all_of


def _event_identity(event: Event, user: User, scope: Scope) -> Value | Missing:
    return _present(event.identity())


def step(value: Value | Missing, key: Value | Missing) -> Value | Missing:
    """Return the value at a name or an index, or MISSING; never raises."""
    if type(value) is dict:
        return value.get(key, MISSING) if type(key) is str else MISSING
    if type(value) is list and type(key) is int:
        try:
            return value[key]
        except IndexError:
            return MISSING
    return MISSING


def compile_path(path: Path, vars: Mapping[str, Value] = {}) -> Getter:
    """Return a function that reads the path: its value, or MISSING.

    A path with ``[*]`` gives the list of all values found, or MISSING where there is none.
    """
    base, parts = _base(path, vars)
    if path.has_any:
        return _many(base, parts, vars)
    if not parts:
        return base
    names = [part for part in parts if isinstance(part, str)]
    if len(names) == len(parts) == 1 and path.root not in EVENT_ROOTS:
        return _of_scope(path.root, names[0])
    shortcut = _shortcut(path, names) if len(names) == len(parts) <= 2 else None
    return shortcut or _walk(base, parts, vars)


def _base(path: Path, vars: Mapping[str, Value]) -> tuple[Getter, tuple[Part, ...]]:
    """Return the getter of the root (or its fixed field) and the parts that are left."""
    root, parts = path.root, path.parts
    if root == "event":
        if not parts:
            return (lambda event, user, scope: event_view(event)), ()
        return _EVENT_FIELDS[str(parts[0])], parts[1:]
    if root == "user":
        if not parts:
            return (lambda event, user, scope: user_view(user)), ()
        return _USER_FIELDS[str(parts[0])], parts[1:]
    if root == "vars":
        return _constant(vars, parts)
    return (lambda event, user, scope: MISSING if scope is None else scope.get(root, MISSING)), parts


def _constant(vars: Mapping[str, Value], parts: tuple[Part, ...]) -> tuple[Getter, tuple[Part, ...]]:
    value: Value | Missing = dict(vars)
    for count, part in enumerate(parts):
        if not isinstance(part, str | int):
            rest = parts[count:]
            break
        value = step(value, part)
    else:
        rest = ()
    return (lambda event, user, scope: value), rest


def _shortcut(path: Path, parts: list[str]) -> Getter | None:
    """Return the fastest reader for one or two names below properties or context (the common case)."""
    holder = (path.root, path.parts[0])
    first = parts[0]
    if len(parts) == 1:
        if holder == ("event", "properties"):
            return lambda event, user, scope: event.properties.get(first, MISSING)
        if holder == ("user", "properties"):
            return lambda event, user, scope: user.properties.get(first, MISSING)
        if holder == ("event", "context"):
            return lambda event, user, scope: event.context.get(first, MISSING)
        return None
    second = parts[1]
    if holder == ("event", "properties"):

        def from_event(event: Event, user: User, scope: Scope) -> Value | Missing:
            inner = event.properties.get(first)
            return inner.get(second, MISSING) if type(inner) is dict else MISSING

        return from_event
    if holder == ("user", "properties"):

        def from_user(event: Event, user: User, scope: Scope) -> Value | Missing:
            inner = user.properties.get(first)
            return inner.get(second, MISSING) if type(inner) is dict else MISSING

        return from_user
    if holder == ("event", "context"):

        def from_context(event: Event, user: User, scope: Scope) -> Value | Missing:
            inner = event.context.get(first)
            return inner.get(second, MISSING) if type(inner) is dict else MISSING

        return from_context
    return None


def _of_scope(root: str, name: str) -> Getter:
    """Return the fastest reader of one name below another root."""

    def of_scope(event: Event, user: User, scope: Scope) -> Value | Missing:
        value = MISSING if scope is None else scope.get(root)
        return value.get(name, MISSING) if type(value) is dict else MISSING

    return of_scope


def _walk(base: Getter, parts: tuple[Part, ...], vars: Mapping[str, Value]) -> Getter:
    if all(isinstance(part, str) for part in parts):
        names = tuple(str(part) for part in parts)

        def by_names(event: Event, user: User, scope: Scope) -> Value | Missing:
            value = base(event, user, scope)
            for name in names:
                if type(value) is not dict:
                    return MISSING
                value = value.get(name, MISSING)
            return value

        return by_names
    steps = _steps(parts, vars)

    def by_steps(event: Event, user: User, scope: Scope) -> Value | Missing:
        value = base(event, user, scope)
        for key, dynamic in steps:
            if value is MISSING:
                return MISSING
            value = step(value, key if dynamic is None else _as_key(value, dynamic(event, user, scope)))
        return value

    return by_steps


def _many(base: Getter, parts: tuple[Part, ...], vars: Mapping[str, Value]) -> Getter:
    steps = _steps(parts, vars)

    def all_values(event: Event, user: User, scope: Scope) -> Value | Missing:
        values = [base(event, user, scope)]
        for key, dynamic in steps:
            if key is ANY:
                values = [element for value in values if type(value) is list for element in value]
                spend(event, user, len(values))
                continue
            spend(event, user, _PER_STEP * len(values))
            named = None if dynamic is None else dynamic(event, user, scope)
            values = [
                found
                for value in values
                if (found := step(value, key if dynamic is None else _as_key(value, named))) is not MISSING
            ]
        return values or MISSING

    return all_values


_PER_STEP: Final = 4
"""Work of reading one name on one of many values, relative to touching it."""


def _steps(parts: tuple[Part, ...], vars: Mapping[str, Value]) -> tuple[tuple[Value, Getter | None], ...]:
    return tuple((part, compile_path(part, vars) if isinstance(part, Path) else None) for part in parts)


def _as_key(value: Value | Missing, key: Value | Missing) -> Value | Missing:
    """Let integers address the keys of a map as their text does: ``vars.owners[event.properties.team]``."""
    return str(key) if type(key) is int and type(value) is dict else key


def _present(value: Value | None) -> Value | Missing:
    return MISSING if value is None else value


_EVENT_FIELDS: Final[Mapping[str, Getter]] = {
    "id": lambda event, user, scope: _present(event.id),
    "name": lambda event, user, scope: event.name,
    "kind": lambda event, user, scope: event.kind,
    "time": lambda event, user, scope: _iso(event.time),
    "received_at": lambda event, user, scope: _iso(event.received_at),
    "source": lambda event, user, scope: _present(event.source),
    "user_id": lambda event, user, scope: _present(event.user_id),
    "anonymous_id": lambda event, user, scope: _present(event.anonymous_id),
    "properties": lambda event, user, scope: event.properties,
    "context": lambda event, user, scope: event.context,
}
_USER_FIELDS: Final[Mapping[str, Getter]] = {
    "id": lambda event, user, scope: _present(user.id),
    "anonymous_id": lambda event, user, scope: _present(user.anonymous_id),
    "identified": lambda event, user, scope: user.identified,
    "properties": lambda event, user, scope: user.properties,
    "before": lambda event, user, scope: _present(user.before),
}
