"""Completions at a place in a text: fields, names, paths, filters, secrets, each with its meaning."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from pipeline.config.edit.writing import double_quoted, is_plain
from pipeline.language.path_syntax import FIELDS
from pipeline.match.operators.table import OPERATORS
from pipeline.model.json import Value
from pipeline.operate.unsaved.complete.fields import keys_of, nodes_at, schema_for, values_of
from pipeline.operate.unsaved.complete.place import Place, place_at
from pipeline.operate.unsaved.results import Completion
from pipeline.render.filters.table import FILTERS

MOST: Final = 100
_NAME: Final = re.compile(r"[\w$-]+")
_TOP_VARS: Final = re.compile(r"^vars:\s*(?:\{(?P<flow>[^}\n]*)|$)", re.MULTILINE)
_EXPRESSION: Final = ("body", "headers", "query", "url")
"""Fields of `request` whose values may hold templates."""


def complete(
    file: str, text: str, line: int, column: int, names: Mapping[str, Value], catalog: Value
) -> list[Completion]:
    """Return what may stand at a place, the likeliest first.

    names: what the config has: labels, bases, lists, shapes, and secrets by name. catalog: events and users
    seen (`operate/running/looks.py`), or None.
    """
    place = place_at(text, line, column)
    offers = _Offers(file, text, place, names, catalog or {"events": {}, "user_properties": {}})
    return _fitting(offers.all(), place)


def _fitting(found: Iterable[Completion], place: Place) -> list[Completion]:
    """Return those that start with the word, then those that contain it, each once."""
    word = place.word.lower()
    first, second = dict[str, Completion](), dict[str, Completion]()
    for one in found:
        label = one.label.lower()
        if label.startswith(word):
            first.setdefault(one.label, one)
        elif word in label:
            second.setdefault(one.label, one)
    return [*first.values(), *(one for label, one in second.items() if label not in first)][:MOST]


class _Offers:
    def __init__(
        self, file: str, text: str, place: Place, names: Mapping[str, Value], catalog: Value
    ) -> None:
        self._file = file
        self._text = text
        self._place = place
        self._names = names
        self._events: Mapping[str, Value] = catalog["events"]
        self._user: Mapping[str, Value] = catalog["user_properties"]

    def all(self) -> Iterator[Completion]:
        match self._place.kind:
            case "secret":
                yield from self._secrets()
            case "filter":
                for name, one in FILTERS.items():
                    shown = one.examples[0]
                    yield self._one(
                        name, name, "filter", f"{one.meaning}: {shown.shown} gives {shown.shown_result}"
                    )
            case "path":
                yield from self._paths(template=True)
            case "key":
                yield from self._keys()
                if self._place.path and self._place.path[-1] == 0:  # an element of a list, or of none yet
                    yield from self._values()
            case "value":
                yield from self._values()

    def _one(self, label: str, insert: str, kind: str, detail: str = "") -> Completion:
        return Completion(label, insert, kind, detail, self._place.column)

    def _keys(self) -> Iterator[Completion]:
        place = self._place
        nodes = nodes_at(schema_for(self._file), place.path)
        end = "" if place.rest.lstrip().startswith(":") else ": "
        known = keys_of(nodes)
        is_condition = "any_element" in known and "label" in known
        if is_condition and self._file.partition("/")[0] != "shapes":
            for one in self._paths(template=False):
                if one.label not in place.taken:
                    yield self._one(one.label, one.insert + end, "path", one.detail)
        for name, meaning in known.items():
            if name not in place.taken:
                kind = "operator" if name in OPERATORS and "present" in known else "field"
                yield self._one(name, name + end, kind, meaning)

    def _values(self) -> Iterator[Completion]:
        path = tuple(part for part in self._place.path if part != 0)
        last = path[-1] if path else ""
        if (self._file.startswith("webhooks/") and path[:2] == ("trigger", "events")) or last == "events":
            yield from self._event_names()
        elif path == ("trigger", "changes"):
            for name, one in self._user.items():
                yield self._quoted(name, "path", _seen(one))
            yield self._one("*", '"*"', "value", "any property of a user")
        elif last == "label" or path == ("exclude",):
            yield from self._labels()
        elif last == "extends":
            for name in self._names.get("bases", ()):
                yield self._one(name, name, "base", "a base in webhooks/")
        elif last == "file" and path[-2:-1] in (("in",), ("not_in",)):
            for name in self._names.get("lists", ()):
                yield self._one(name, name, "value", "a list file")
        elif last in ("by", "path") or path == ("idempotency",):
            yield from self._paths(template=False)
        elif path[:1] == ("request",) and path[1:2] and path[1] in _EXPRESSION:
            yield from self._templates()
        yield from self._operands(path)
        for value, meaning in values_of(nodes_at(schema_for(self._file), self._place.path)).items():
            yield self._one(value, value, "value", meaning)

    def _event_names(self) -> Iterator[Completion]:
        for name, one in self._events.items():
            if name != "(others)":
                yield self._quoted(name, "event", f"an event, seen {one['sampled']:,} times in samples")
        yield from self._labels()
        yield self._one("*", '"*"', "value", "every event")

    def _labels(self) -> Iterator[Completion]:
        for name in self._names.get("labels", ()):
            yield self._quoted(name, "label", "a label")

    def _operands(self, path: tuple[str | int, ...]) -> Iterator[Completion]:
        """Offer values seen at the path that a condition compares."""
        if len(path) > 1 and path[-1] in OPERATORS:
            path = path[:-1]
        read = str(path[-1]) if path else ""
        for root, known in self._properties():
            if not read.startswith(root):
                continue
            for name, one in known.items():
                example = one["example"]
                if (
                    _joined(root, name) == read
                    and example is not None
                    and not isinstance(example, (dict, list))
                ):
                    yield self._quoted(example, "value", "was seen there")

    def _secrets(self) -> Iterator[Completion]:
        end = "" if self._place.rest.startswith("}") else "}"
        for name, one in self._names.get("secrets", {}).items():
            users = ", ".join(one["webhooks"][:3])
            state = "set" if one["set"] else "has a default" if one["has_default"] else "not set"
            yield self._one(name, name + end, "secret", f"{state}{f', used by {users}' if users else ''}")

    def _templates(self) -> Iterator[Completion]:
        """Offer complete templates where a value begins."""
        for one in self._paths(template=True):
            insert = f"{{{{ {one.insert} }}}}"
            if not self._place.quote:
                insert = _template_quoted(insert)
            yield self._one(one.label, insert, "path", one.detail)

    def _paths(self, *, template: bool) -> Iterator[Completion]:
        """Offer properties seen, those of the trigger's events first, then fixed fields."""
        for root, known in self._properties():
            for name, one in known.items():
                if name != "(others)":
                    yield self._path(root, name, _seen(one), template=template)
        for root, names in FIELDS.items():
            for name in names:
                if name not in ("properties", "context", "before"):
                    yield self._one(f"{root}.{name}", f"{root}.{name}", "path", f"of the {root}")
        for name in self._vars():
            yield self._path("vars", name, "a var of this file", template=template)
        if "$for" in self._text and self._place.path[:1] == ("request",):
            yield self._one("item", "item", "path", "the element of `$for`")
            yield self._one("index", "index", "path", "its number, from 0")
        if "changes:" in self._text:
            for name, one in self._user.items():
                yield self._path("user.before", name, _seen(one), template=template)
        if template:
            yield self._one("event", "event", "path", "the whole event")
            yield self._one("user", "user", "path", "the whole user: id, identified, properties")
        for name in ("properties", "context"):
            yield self._one(f"event.{name}", f"event.{name}", "path", f"all {name} of the event")
        yield self._one("user.properties", "user.properties", "path", "all properties of the user")

    def _path(self, root: str, name: str, detail: str, *, template: bool) -> Completion:
        """Offer a property as it must be written here: in brackets whose quotes do not end the text."""
        label, quote = _joined(root, name), self._place.quote
        insert = label if "'" in name or quote != '"' else _joined(root, name, "'")
        if quote:
            insert = self._inside(insert)
        elif not template and "[" in insert:
            insert = "'" + insert.replace("'", "''") + "'"
        return self._one(label, insert, "path", detail)

    def _inside(self, text: str) -> str:
        """Return a text as it stands inside the quotes of the place."""
        return double_quoted(text)[1:-1] if self._place.quote == '"' else text.replace("'", "''")

    def _properties(self) -> Iterator[tuple[str, Mapping[str, Value]]]:
        named = [name for name in self._events if name in self._text]
        merged: dict[str, Value] = {}
        for name in (*named, *(other for other in self._events if other not in named)):
            for key, one in self._events[name]["properties"].items():
                merged.setdefault(key, {**one, "of": name})
        yield "event.properties", merged
        yield "user.properties", self._user

    def _vars(self) -> Iterator[str]:
        """Yield the names under `vars:`, by the look of the text."""
        found = _TOP_VARS.search(self._text)
        if found is None:
            return
        if found["flow"] is not None:
            yield from re.findall(r"([\w$-]+)\s*:", found["flow"])
            return
        indent = None
        for line in self._text[found.end() :].splitlines()[1:]:
            if line.strip() and not line.startswith(" "):
                return
            key = re.match(r"( +)([\w$-]+)\s*:", line)
            if key is not None and indent in (None, len(key[1])):
                indent = len(key[1])
                yield key[2]

    def _quoted(self, value: Value, kind: str, detail: str) -> Completion:
        """Offer a value as it must be written in YAML."""
        label = value if isinstance(value, str) else json.dumps(value)
        insert = label
        if self._place.quote:
            insert = self._inside(label)
        elif isinstance(value, str) and not is_plain(value, flow=True):
            insert = json.dumps(value, ensure_ascii=False)
        return self._one(label, insert, kind, detail)


def _joined(root: str, name: str, quote: str = '"') -> str:
    if _NAME.fullmatch(name):
        return f"{root}.{name}"
    escaped = name.replace("\\", "\\\\").replace(quote, f"\\{quote}")
    return f"{root}[{quote}{escaped}{quote}]"


def _template_quoted(text: str) -> str:
    return f'"{text}"' if '"' not in text else "'" + text.replace("'", "''") + "'"


def _seen(one: Mapping[str, Value]) -> str:
    kinds = " or ".join(one["types"])
    example = "" if one["example"] is None else f", e.g. {json.dumps(one['example'], ensure_ascii=False)}"
    return f"{kinds}{example} (of {one['of']})" if "of" in one else f"{kinds}{example}"
