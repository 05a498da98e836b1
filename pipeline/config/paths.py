"""The path grammar that conditions, templates and `by:` share (LANGUAGE 1).

A path starts at a root and goes on with names (letters, digits, ``_``, ``$``, ``-``) after dots, and with
brackets for everything else: ``["Sales Rep"]``, ``['a.b']``, ``[0]``, ``[-1]``, ``[*]`` (any element), and
``[user.properties.plan]`` (the key is another path's value). Nothing is magic: ``size``, ``first``,
``last``, ``null``, ``empty`` and ``blank`` are ordinary keys.

Reading never raises: a step that the data does not have gives `MISSING`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NoReturn, TypeAlias

from pipeline.model.records import MISSING, Event, Json, Missing, User
from pipeline.model.times import format_iso

Scope: TypeAlias = Mapping[str, Json] | None
"""Values of the roots beside event, user and vars: item, index, items, response."""
Getter: TypeAlias = Callable[[Event, User, Scope], Json | Missing]

EVENT_ROOTS: Final = ("event", "user", "vars")
FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "event": (
        "id",
        "name",
        "kind",
        "time",
        "received_at",
        "source",
        "user_id",
        "anonymous_id",
        "properties",
        "context",
    ),
    "user": ("id", "anonymous_id", "identified", "properties", "before"),
}
OPEN_FIELDS: Final = frozenset({"properties", "context", "before"})
"""Fixed fields that hold objects; the others are scalars and have no fields of their own."""

_OTHER_NAMES: Final = {
    "userId": "user_id",
    "distinct_id": "user_id",
    "anonymousId": "anonymous_id",
    "messageId": "id",
    "uuid": "id",
    "timestamp": "time",
    "occurred_at": "time",
    "receivedAt": "received_at",
    "event": "name",
    "type": "kind",
    "props": "properties",
    "traits": "properties",
}
_OTHER_ROOTS: Final = {"person": "user", "profile": "user", "traits": "user.properties", "var": "vars"}
_NAME: Final = re.compile(r"[\w$-]+")
_INDEX: Final = re.compile(r"-?\d{1,9}")


class PathError(ValueError):
    """A text that is no path; ``offset`` is the character it goes wrong at, ``hint`` the remedy."""

    def __init__(self, message: str, offset: int, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset
        self.hint = hint


class AnyElement:
    """The type of ANY: the step ``[*]``."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "[*]"


ANY: Final = AnyElement()
Part: TypeAlias = "str | int | AnyElement | Path"


@dataclass(slots=True, frozen=True)
class Path:
    """A parsed path. ``parts`` are names, list indexes, `ANY`, or paths whose value is the key."""

    root: str
    parts: tuple[Part, ...]
    text: str

    @property
    def reads_user(self) -> bool:
        """True where the value is known only after identity and join.

        ``event.user_id`` is among them: the identity step fills it in for linked anonymous ids.
        """
        return (
            self.root == "user"
            or (self.root == "event" and (not self.parts or self.parts[0] == "user_id"))
            or any(isinstance(part, Path) and part.reads_user for part in self.parts)
        )

    @property
    def reads_event(self) -> bool:
        """True where the value depends on the event."""
        return self.root == "event" or any(isinstance(part, Path) and part.reads_event for part in self.parts)

    @property
    def reads_vars(self) -> bool:
        """True where the value depends on the webhook's vars."""
        return self.root == "vars" or any(isinstance(part, Path) and part.reads_vars for part in self.parts)

    @property
    def has_any(self) -> bool:
        """True where a step is ``[*]``: the path then has many values, not one."""
        return any(part is ANY for part in self.parts)


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that was probably meant, or None."""
    known = list(known)
    lowered = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), lowered, n=1, cutoff=0.6)
    return lowered[close[0]] if close else None


def parse_path(text: str, roots: Collection[str] = EVENT_ROOTS) -> Path:
    """Return the path that the text says; raises PathError where it is none.

    Roots and the fixed fields of event and user are checked here, so that a typo is found at load.
    """
    path, end = _parse(text, 0, roots, nested=False)
    if end != len(text):
        _fail_at(text, end)
    return path


def _parse(text: str, start: int, roots: Collection[str], *, nested: bool) -> tuple[Path, int]:
    named = _NAME.match(text, start)
    if named is None:
        raise PathError("a path starts with " + _listed(roots), start, None)
    root = named.group()
    if root not in roots:
        raise PathError(f"`{root}` is not known here", start, _root_hint(root, text, roots))
    parts: list[Part] = []
    at = named.end()
    while at < len(text):
        before = at
        part: Part
        if text[at] == ".":
            step = _NAME.match(text, at + 1)
            if step is None:
                _fail_at(text, at + 1)
            part, at = step.group(), step.end()
            before += 1
        elif text[at] == "[":
            part, at = _bracket(text, at, roots)
        else:
            break
        if not parts:
            _check_field(root, part, text, before)
        elif len(parts) == 1 and root in FIELDS and parts[0] not in OPEN_FIELDS:
            raise PathError(f"`{root}.{parts[0]}` is a single value and has no fields", before)
        parts.append(part)
    path = Path(root, tuple(parts), text[start:at])
    if nested and path.has_any:
        raise PathError("`[*]` cannot be a key", start)
    return path, at


def _bracket(text: str, start: int, roots: Collection[str]) -> tuple[Part, int]:
    at = _skip_spaces(text, start + 1)
    if at >= len(text):
        raise PathError("a bracket is not closed", start, "add `]`")
    part: Part
    if text[at] in "\"'":
        part, at = _quoted(text, at)
    elif text[at] == "*":
        part, at = ANY, at + 1
    elif number := _INDEX.match(text, at):
        part, at = int(number.group()), number.end()
    else:
        named = _NAME.match(text, at)
        if named is not None and named.group() not in roots:
            raise PathError(
                f"`{named.group()}` in brackets is neither quoted nor a path",
                at,
                f'write ["{named.group()}"] for a key of that name',
            )
        part, at = _parse(text, at, roots, nested=True)
    at = _skip_spaces(text, at)
    if at >= len(text) or text[at] != "]":
        raise PathError("a bracket is not closed", start, "add `]`")
    return part, at + 1


def _quoted(text: str, start: int) -> tuple[str, int]:
    """Read a quoted key; a backslash escapes the quote and itself, and is literal elsewhere."""
    quote, at, found = text[start], start + 1, ""
    while at < len(text) and text[at] != quote:
        if text[at] == "\\" and text[at + 1 : at + 2] in (quote, "\\"):
            at += 1
        found += text[at]
        at += 1
    if at >= len(text):
        raise PathError("a quoted name is not closed", start, f"add {quote}")
    return found, at + 1


def _skip_spaces(text: str, at: int) -> int:
    while at < len(text) and text[at] == " ":
        at += 1
    return at


def _fail_at(text: str, at: int) -> NoReturn:
    if at >= len(text):
        raise PathError("the path ends after a dot", max(at - 1, 0), "name what you mean after the dot")
    raise PathError(
        f"{text[at]!r} cannot stand in a path here",
        at,
        'names with other characters go in brackets: event.properties["Sales Rep"]',
    )


def _listed(words: Collection[str]) -> str:
    ordered = [f"`{word}`" for word in words if word]
    return ordered[0] if len(ordered) == 1 else ", ".join(ordered[:-1]) + " or " + ordered[-1]


def _root_hint(root: str, text: str, roots: Collection[str]) -> str:
    known = {**{name: other for name, other in _OTHER_ROOTS.items() if other.split(".")[0] in roots}}
    if root in known:
        return f"did you mean `{text.replace(root, known[root], 1)}`?"
    if "event" in roots and root in FIELDS["event"] and root not in ("id", "name"):
        return f"did you mean `event.{text}`?"
    close = did_you_mean(root, [name for name in roots if name])
    if close is not None:
        return f"did you mean `{text.replace(root, close, 1)}`?"
    return "a path starts with " + _listed(roots)


def _check_field(root: str, part: Part, text: str, offset: int) -> None:
    if root not in FIELDS:
        return
    fields = FIELDS[root]
    if isinstance(part, str):
        if part in fields:
            return
        other = _OTHER_NAMES.get(part)
        close = other if other in fields else did_you_mean(part, fields)
        meant = f"{root}.{close}" if close is not None else f"{root}.properties.{text[offset:]}"
        hint = f"did you mean `{meant}`?"
        raise PathError(f"`{root}` has no field `{part}`", offset, hint)
    raise PathError(
        f"`{root}` has named fields only",
        offset,
        f"its fields are {', '.join(fields)}; e.g. {root}.properties",
    )


def unknown_var(path: Path, vars: Mapping[str, Json]) -> PathError | None:
    """Return the error for a path into a var that the webhook does not have, or None."""
    if path.root == "vars" and path.parts and isinstance(path.parts[0], str) and path.parts[0] not in vars:
        close = did_you_mean(path.parts[0], vars)
        hint = f"did you mean `vars.{close}`?" if close else "add it under `vars:`"
        return PathError(f"there is no var `{path.parts[0]}`", len("vars."), hint)
    for part in path.parts:
        if isinstance(part, Path) and (found := unknown_var(part, vars)) is not None:
            return PathError(found.message, path.text.find(part.text) + found.offset, found.hint)
    return None


def event_view(event: Event) -> dict[str, Json]:
    """Return what ``{{ event }}`` is: every field but origin and elements; unknown ones are left out."""
    view: dict[str, Json] = {}
    if event.id is not None:
        view["id"] = event.id
    view["name"] = event.name
    view["kind"] = event.kind
    for name, ms in (("time", event.time), ("received_at", event.received_at)):
        at = _iso(ms)
        if at is not MISSING:
            view[name] = at
    for name, value in (
        ("source", event.source),
        ("user_id", event.user_id),
        ("anonymous_id", event.anonymous_id),
    ):
        if value is not None:
            view[name] = value
    view["properties"] = event.properties
    view["context"] = event.context
    return view


def user_view(user: User) -> dict[str, Json]:
    """Return what ``{{ user }}`` is: id (left out where it is unknown) and properties."""
    if user.id is None:
        return {"properties": user.properties}
    return {"id": user.id, "properties": user.properties}


def _iso(ms: int | None) -> str | Missing:
    if ms is None:
        return MISSING
    try:
        return format_iso(ms)
    except (OverflowError, ValueError):
        return MISSING  # a time outside the years 1 to 9999 has no text


def step(value: Json | Missing, key: Json | Missing) -> Json | Missing:
    """Return what a name or an index leads to, or MISSING; never raises."""
    if type(value) is dict:
        return value.get(key, MISSING) if type(key) is str else MISSING
    if type(value) is list and type(key) is int:
        try:
            return value[key]
        except IndexError:
            return MISSING
    return MISSING


def compile_path(path: Path, vars: Mapping[str, Json] = {}) -> Getter:
    """Return a function that reads the path: its value, or MISSING.

    A path with ``[*]`` gives the list of all values found, or MISSING where there is none.
    """
    base, parts = _base(path, vars)
    if path.has_any:
        return _many(base, parts, vars)
    if not parts:
        return base
    names = [part for part in parts if isinstance(part, str)]
    shortcut = _shortcut(path, names) if len(names) == len(parts) <= 2 else None
    return shortcut or _walk(base, parts, vars)


def _base(path: Path, vars: Mapping[str, Json]) -> tuple[Getter, tuple[Part, ...]]:
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


def _constant(vars: Mapping[str, Json], parts: tuple[Part, ...]) -> tuple[Getter, tuple[Part, ...]]:
    value: Json | Missing = dict(vars)
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

        def from_event(event: Event, user: User, scope: Scope) -> Json | Missing:
            inner = event.properties.get(first)
            return inner.get(second, MISSING) if type(inner) is dict else MISSING

        return from_event
    if holder == ("user", "properties"):

        def from_user(event: Event, user: User, scope: Scope) -> Json | Missing:
            inner = user.properties.get(first)
            return inner.get(second, MISSING) if type(inner) is dict else MISSING

        return from_user
    if holder == ("event", "context"):

        def from_context(event: Event, user: User, scope: Scope) -> Json | Missing:
            inner = event.context.get(first)
            return inner.get(second, MISSING) if type(inner) is dict else MISSING

        return from_context
    return None


def _walk(base: Getter, parts: tuple[Part, ...], vars: Mapping[str, Json]) -> Getter:
    if all(isinstance(part, str) for part in parts):
        names = tuple(str(part) for part in parts)

        def by_names(event: Event, user: User, scope: Scope) -> Json | Missing:
            value = base(event, user, scope)
            for name in names:
                if type(value) is not dict:
                    return MISSING
                value = value.get(name, MISSING)
            return value

        return by_names
    steps = _steps(parts, vars)

    def by_steps(event: Event, user: User, scope: Scope) -> Json | Missing:
        value = base(event, user, scope)
        for key, dynamic in steps:
            if value is MISSING:
                return MISSING
            value = step(value, key if dynamic is None else _as_key(value, dynamic(event, user, scope)))
        return value

    return by_steps


def _many(base: Getter, parts: tuple[Part, ...], vars: Mapping[str, Json]) -> Getter:
    steps = _steps(parts, vars)

    def all_values(event: Event, user: User, scope: Scope) -> Json | Missing:
        values = [base(event, user, scope)]
        for key, dynamic in steps:
            if key is ANY:
                values = [element for value in values if type(value) is list for element in value]
                continue
            named = None if dynamic is None else dynamic(event, user, scope)
            values = [
                found
                for value in values
                if (found := step(value, key if dynamic is None else _as_key(value, named))) is not MISSING
            ]
        return values or MISSING

    return all_values


def _steps(parts: tuple[Part, ...], vars: Mapping[str, Json]) -> tuple[tuple[Json, Getter | None], ...]:
    return tuple((part, compile_path(part, vars) if isinstance(part, Path) else None) for part in parts)


def _as_key(value: Json | Missing, key: Json | Missing) -> Json | Missing:
    """Let whole numbers name the keys of a map as their text does: ``vars.owners[event.properties.team]``."""
    return str(key) if type(key) is int and type(value) is dict else key


def _present(value: Json | None) -> Json | Missing:
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
