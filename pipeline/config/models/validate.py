"""Validates plain data against a model; turns pydantic's errors into problems a person can act on."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from pipeline.config.models.field_types import Reading, fields_of, is_section
from pipeline.config.models.other_words import KINDS, REMEDIES, SYNONYMS, VALUES
from pipeline.config.yaml import scalars
from pipeline.config.yaml.diagnostics import KeyPath, Problems
from pipeline.config.yaml.placeholders import reread
from pipeline.config.yaml.slips import quote
from pipeline.model.json import Value
from pipeline.model.words import did_you_mean, likeness

M = TypeVar("M", bound=BaseModel)
_PLAIN = re.compile(r"[A-Za-z0-9][^\s{}\[\],:#'\"]*(:[^\s{}\[\],:#'\"]+)*")
"""Texts that need no quotes, not even inside a flow map."""

MOST_TOLD = 100
"""Problems reported per file: searching for what was meant takes a while."""


def check_quoted(
    model: type[M], data: Value, quoted: Mapping[KeyPath, tuple[str, Value]], problems: Problems, *, what: str
) -> M | None:
    """Like `check`; quoted settings count as numbers or constants where a field does not take text."""
    known = len(problems.found)
    found = check(model, data, problems, what=what)
    if found is None and reread(data, quoted, problems, known):
        found = check(model, data, problems, what=what)
    return found


def check(model: type[M], data: Value, problems: Problems, *, what: str) -> M | None:
    """Return the model's instance, or None after noting every problem. ``what``: "a webhook"."""
    if not isinstance(data, dict):
        hint = "write `field: value` lines"
        if isinstance(data, list):
            hint = f"leave out the `-`: one file holds {what if what[:2] == 'a ' else 'one map'}"
        problems.error((), "wrong-type", f"{what} is a map of fields, not {describe(data)}", hint=hint)
        return None
    if (stray := _stray(model, data)) is not None:
        problems.error((), "wrong-file", f"this is {stray[0]}, not {what}", hint=stray[1])
        return None
    reading = Reading.STORED if problems.stored else Reading.FILES
    try:
        return model.model_validate(data, context=reading, by_alias=True, by_name=False)
    except ValidationError as error:
        found = Problems()
        details = error.errors(include_url=False)
        for detail in details[:MOST_TOLD]:
            _note(model, data, detail, found, what)
        if len(details) > MOST_TOLD:
            message = f"and {len(details) - MOST_TOLD:,} more problems with the fields of {what}"
            problems.error((), "more-problems", message)
        # `triger` is a single mistake, not an unknown field and a missing one.
        meant = {
            (problem.path[:-1], problem.hint) for problem in found.found if problem.code == "unknown-field"
        }
        for problem in found.found:
            name = problem.message.rpartition(" the field ")[2]
            if problem.code != "missing-field" or (problem.path, f"did you mean {name}?") not in meant:
                problems.found.append(replace(problem, path=problems.prefix + problem.path))
        return None


def _stray(model: type, data: dict[str, Value]) -> tuple[str, str] | None:
    """Return the kind of a misplaced file, and where it belongs; None where the place may be right."""
    if any(name in data for name, _, _ in fields_of(model)):
        return None
    for kind, (telling, folder) in KINDS.items():
        if any(name in data for name in telling):
            return kind, f"it belongs in {folder}" if folder else "it belongs in the config directory itself"
    return None


def _note(model: type, data: Value, detail: Any, problems: Problems, what: str) -> None:
    path = _real_path(data, detail["loc"])
    kind, context = detail["type"], detail.get("ctx", {})
    name = f"`{_dotted(path)}`" if path else what
    owner = f"`{_dotted(path[:-1])}`" if path[:-1] else what
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        field = str(path[-1])
        hint = suggest_field(field, _section_at(model, path[:-1]), model)
        problems.error(path, "unknown-field", f"`{field}` is not a field of {owner}", hint=hint, on_key=True)
    elif kind == "missing":
        problems.error(
            path[:-1],
            "missing-field",
            f"{owner} needs the field `{path[-1]}`",
            hint=_example(model, path),
            on_key=True,
        )
    elif "message" in context:
        problems.error(path, kind, str(context["message"]), on_key=kind in ("missing-field", "one-of"))
    else:
        code, wish, remedy = _wish(kind, context, detail.get("input"))
        found = describe(detail.get("input"))
        if kind == "list_type" and isinstance(next(iter(_examples(model, path)), None), str):
            wish = "a text or a list"
        if remedy is None and code == "wrong-type":
            remedy = _example(model, path)
            if remedy is None and kind == "model_type" and isinstance(path[-1], int):
                remedy = _example(model, path[:-1])
        told = "must not be empty" if wish == _EMPTY else f"must be {wish}, not {found}"
        problems.error(path, code, f"{name} {told}", hint=remedy)


_EMPTY = "not empty"
_WISHES = {
    "float_type": ("wrong-type", "a number"),
    "dict_type": ("wrong-type", "a map of fields"),
    "model_type": ("wrong-type", "a map of fields"),
    "dataclass_type": ("wrong-type", "a map of fields"),
    "list_type": ("wrong-type", "a list"),
    "greater_than_equal": ("wrong-value", "{ge} or more"),
    "greater_than": ("wrong-value", "more than {gt:g}"),
    "too_short": ("wrong-value", _EMPTY),
    "string_too_short": ("wrong-value", _EMPTY),
}
"""What pydantic's errors expect, by their kind; the numbers come with the error."""


def _wish(kind: str, context: Mapping[str, Any], found: Value) -> tuple[str, str, str | None]:
    """Return (code, what is expected, hint)."""
    if kind == "literal_error":
        # pydantic gives "'a', 'b' or 'c'".
        options = [part.strip(" '") for part in str(context["expected"]).replace(" or ", ", ").split(", ")]
        if options == ["True"]:
            return "wrong-value", "`true`", "leave the field out for the opposite"
        wish = ", ".join(f"`{option}`" for option in options[:-1])
        wish = f"{wish} or `{options[-1]}`" if wish else f"`{options[-1]}`"
        if options == ["user"]:
            return "wrong-value", wish, "a time goes into `every`, such as `every: 1d`, a path into `by`"
        other = [value for value in VALUES.get(str(found).lower(), ()) if value in options]
        close = other[0] if other else did_you_mean(str(found), options)
        return "wrong-value", wish, f"did you mean `{close}`?" if close else None
    if kind == "bool_type":
        word = str(found).lower() if isinstance(found, str) else ""
        meant = {"true": "true", "yes": "true", "on": "true", "false": "false", "no": "false", "off": "false"}
        hint = f"write `{meant[word]}`" if word in meant else None
        return "wrong-type", "true or false", hint
    if kind in ("int_type", "int_from_float"):
        digits = isinstance(found, str) and found.isascii() and found.isdigit()
        hint = f"write `{found.lstrip('0') or '0'}` without quotes or zeros before it" if digits else None
        return "wrong-type", "a whole number", hint
    if kind == "string_type":
        quoted = {True: "true", False: "false"}.get(found, found) if isinstance(found, bool) else found
        hint = f'quote it: "{quoted}"' if isinstance(found, (bool, int, float)) else None
        return "wrong-type", "a text", hint
    if kind == "less_than_equal":
        limit = context["le"]
        return "wrong-value", f"{limit:g} or less" if isinstance(limit, float) else f"{limit} or less", None
    code, wish = _WISHES.get(kind, ("wrong-value", f"valid ({kind.replace('_', ' ')})"))
    return code, wish.format(**context), None


def describe(value: Value) -> str:
    """Return a value, short enough for a message: ``a text ("64")``."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return f"the number {value}"
    if isinstance(value, str):
        shown = value if len(value) <= 40 else value[:37] + "..."
        return f'the text "{shown}"'
    return "a list" if isinstance(value, list) else "a map"


def suggest_field(word: str, section: type, root: type) -> str:
    """Return the remedy for an unknown field: a similar name, its right place, or all names."""
    names = [name for name, _, _ in fields_of(section)]
    synonyms = SYNONYMS.get(word.lower(), ())
    # A synonym takes precedence over similarity: `event` is meant as `events`, but so is `retries` as
    # `retry`.
    for synonym in synonyms:
        if synonym in names:
            return f"did you mean `{synonym}`?"
    close = did_you_mean(word, names)
    if close is not None and likeness(word, close) > 0.8:
        return f"did you mean `{close}`?"
    places = [place for place, name in _places(root) if name == word]
    if places:
        listed = " or ".join(f"`{place}`" if place else "the top of the file" for place in places[:2])
        return f"it belongs under {listed}"
    if section is root and word in REMEDIES:
        return REMEDIES[word]
    if close is not None:
        return f"did you mean `{close}`?"
    for synonym in synonyms:
        owners = [f"{place}.{name}" if place else name for place, name in _places(root) if name == synonym]
        if owners:
            return f"did you mean `{owners[0]}`?"
    return "fields: " + ", ".join(names)


def submodel(annotation: Any) -> type | None:
    """Return the model inside an annotation such as ``Retry | None`` or ``list[LabelEntry]``."""
    if is_section(annotation):
        return annotation  # type: ignore[no-any-return]  # a type, as was asked
    for argument in get_args(annotation):
        found = submodel(argument)
        if found is not None:
            return found
    return None


def _places(model: type, prefix: str = "") -> Iterator[tuple[str, str]]:
    for shown, _, info in fields_of(model):
        yield prefix, shown
        inner = submodel(info.annotation)
        if inner is not None:
            yield from _places(inner, f"{prefix}.{shown}" if prefix else shown)


def _section_at(model: type, path: KeyPath) -> type:
    section = model
    for part in path:
        for name, _, info in fields_of(section):
            if part == name:
                section = submodel(info.annotation) or section
    return section


def _real_path(data: Value, loc: tuple[str | int, ...]) -> KeyPath:
    """Drop the parts of pydantic's location that are not keys of the data (tags of unions)."""
    path: list[str | int] = []
    here = data
    for index, part in enumerate(loc):
        last = index == len(loc) - 1
        # A number is the index in a list that a validator has made of a single map.
        if isinstance(here, dict) and (part in here or (last and isinstance(part, str))):
            path.append(part)
            here = here.get(part)
        elif isinstance(here, list) and isinstance(part, int):
            path.append(part)
            here = here[part] if part < len(here) else None
    return tuple(path)


def _example(model: type, path: KeyPath) -> str | None:
    """Return an example of the field, or else the names of its own fields."""
    found = _examples(model, path)
    if found:
        return f"for example `{path[-1]}: {_flow(found[0])}`"
    section, inner = _section_at(model, path[:-1]), _section_at(model, path)
    if inner is section:  # an entry of a map, whose name is arbitrary
        above = next(iter(_examples(model, path[:-1])), None)
        entry = next(iter(above.values()), None) if isinstance(above, dict) else None
        return f"for example `{path[-1]}: {_flow(entry)}`" if isinstance(entry, dict) else None
    return "its fields: " + ", ".join(name for name, _, _ in fields_of(inner))


def _examples(model: type, path: KeyPath) -> list[Value]:
    """Return the examples that the model has of a field."""
    fields = fields_of(_section_at(model, path[:-1])) if path else ()
    return next((info.examples or [] for name, _, info in fields if path[-1] == name), [])


def _flow(value: Value) -> str:
    """Return an example as written on one line of YAML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, str):
        is_text = _PLAIN.fullmatch(value) is not None and isinstance(scalars.resolve(value), str)
        return value if is_text else quote(value)
    return describe(value).removeprefix("the number ")


def _dotted(path: KeyPath) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text
