"""Hides properties by name, and by value where a template copied them elsewhere."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from typing import Final

import orjson

from pipeline.language.path_syntax import EVENT_ROOTS, Path, PathError, parse_path
from pipeline.model.json import Value, leaves, with_leaves
from pipeline.model.masking import exact_forms

HIDDEN: Final = "•••"
SHORTEST: Final = 4
"""Shorter values are not searched for: every text contains them."""
SHORTEST_NUMBER: Final = 7
"""This many characters are a telephone number, a card, an id, a place; fewer are counts and amounts."""
VALUES: Final = 200
TEXT_BYTES: Final = 1 << 20

_ELEMENT: Final = "element"
LOOKED_UP: Final = "[..]"
"""Stands for a key that is another path's value."""


class Mask:
    """The properties in `console.mask`.

    Whatever the record's shape, a property appears under the last name of its path (inside `properties`,
    `traits`, `$set`), so that name is hidden anywhere, ignoring case.
    """

    def __init__(self, paths: Iterable[str]) -> None:
        self.names = frozenset(
            str(parse_path(path, ("event", "user")).parts[-1]).casefold() for path in paths
        )

    def applied(self, value: Value, also: frozenset[str] = frozenset()) -> Value:
        """Return a value without them; unchanged where there are none. also: other names, in lower case,
        under which their values appear here.
        """
        if not self.names:
            return value
        values: dict[str, None] = {}
        hidden = _by_name(value, self.names | also if also else self.names, values)
        found = sorted(values, key=len, reverse=True)[:VALUES]
        if not found:
            return hidden
        forms = {form for value in found for form in _forms(value) if len(form) >= SHORTEST}
        return _by_value(hidden, sorted(forms, key=len, reverse=True))

    def __bool__(self) -> bool:
        return bool(self.names)

    def asked_by(self, condition: Value) -> str | None:
        """Return the part of a condition that concerns a hidden property; None where none does.

        condition: as written, in the language of the config. A key that is itself looked up
        (`[user.properties.x]`) may lead anywhere, and is treated so.
        """
        if self.names:
            for text in _texts(condition):
                if any(part in self.names or part is LOOKED_UP for part in _parts(text)):
                    return text
        return None


def _by_name(value: Value, names: Collection[str], values: dict[str, None]) -> Value:
    if isinstance(value, dict):
        kept: dict[str, Value] = {}
        for key, inner in value.items():
            if str(key).casefold() in names and inner is not None:
                _leaves(inner, values)
                kept[key] = HIDDEN
            else:
                kept[key] = _by_name(inner, names, values)
        return kept
    if isinstance(value, list):
        match value:
            case [str(key), str(inner)] if key.casefold() in names:  # a header
                _leaves(inner, values)
                return [key, HIDDEN]
        return [_by_name(inner, names, values) for inner in value]
    if isinstance(value, str) and value[:1] in ("{", "[") and len(value) <= TEXT_BYTES:
        return _in_text(value, names, values)
    return value


def _in_text(text: str, names: Collection[str], values: dict[str, None]) -> str:
    """Return JSON text without them; byte for byte unchanged where it has none."""
    try:
        data = orjson.loads(text)
    except ValueError:
        return text
    hidden = _by_name(data, names, values)
    return text if hidden == data else orjson.dumps(hidden).decode()


def _texts(value: Value) -> Iterator[str]:
    """Yield the keys, and the values that may be paths."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield str(key)
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
    elif isinstance(value, str) and value.startswith(EVENT_ROOTS):
        yield value


def _parts(text: str) -> Iterator[str]:
    """Yield the names in a path, in lower case, whatever its root; anything else is yielded whole."""
    found = False
    for start, roots in (("", EVENT_ROOTS), (f"{_ELEMENT}.", (_ELEMENT,)), (_ELEMENT, (_ELEMENT,))):
        with suppress(PathError):
            yield from _names(parse_path(start + text, roots))
            found = True
    if not found:
        yield text.casefold()


def _names(path: Path) -> Iterator[str]:
    for part in path.parts:
        if isinstance(part, str):
            yield part.casefold()
        elif isinstance(part, Path):
            yield LOOKED_UP


def _leaves(value: Value, values: dict[str, None]) -> None:
    for _, one in leaves(value):
        if isinstance(one, str) and len(one) >= SHORTEST:
            values[one] = None
        elif type(one) in (int, float) and len(str(one)) >= SHORTEST_NUMBER:
            values[str(one)] = None


def _forms(value: str) -> Iterator[str]:
    """Yield a value as templates, URLs, JSON and HTML write it."""
    for cased in {value, value.lower(), value.upper(), value.capitalize(), value.title()}:
        yield from exact_forms(cased)


def _by_value(value: Value, values: list[str]) -> Value:
    def hidden(one: Value) -> Value:
        if isinstance(one, str):
            for each in values:
                if each in one:
                    one = one.replace(each, HIDDEN)
        elif type(one) in (int, float) and str(one) in values:
            return HIDDEN
        return one

    return with_leaves(value, hidden)
