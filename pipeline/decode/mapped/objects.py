"""The objects of custom shapes: properties, context, the properties a user record sets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pipeline.config.yaml.diagnostics import Problems
from pipeline.decode.mapped.frame import Frame, Source
from pipeline.decode.mapped.values.forms import Context, compile_source, field_names, is_form, slipped_form
from pipeline.decode.mapped.values.prices import spend_parsed
from pipeline.decode.raw import strict
from pipeline.model.errors import InvalidRecord
from pipeline.model.json import Json, Value, kind_of
from pipeline.model.records import MISSING, Missing

Object = Callable[[Json, Frame], "dict[str, Json]"]
"""Returns an object, an empty one for a missing one; raises InvalidRecord for anything else."""

REST: Final = "*"
"""The top-level fields with which no path of the entry begins."""


TEXTS: Final = ("text", "join", "find", "lower")
"""Words of forms that never give an object."""
MOST_LEVELS: Final = 2
"""The maximum depth of `each` that a path can climb."""


def empty(here: Json, frame: Frame) -> dict[str, Json]:
    """Return a new object: the receiver may change it."""
    return {}


def compile_object(value: Value, context: Context) -> Object:
    """Return the reader of an object: a path, `*`, or a map of names; mistakes become problems.

    For `*` it is only correct once every path of the entry has been compiled.
    """
    if value == REST:
        return _rest(context)
    if type(value) is dict and not is_form(value):
        return compile_map(value, context)
    source = compile_source(value, context)
    if type(value) is dict and (word := next(filter(value.__contains__, TEXTS), None)) is not None:
        message, hint = f"`{word}` gives a text, expected an object", "write a map of name to value"
        context.problems.refuse((word,), "wrong-source", message, hint=hint, on_key=True)
    name = f"`{value}`" if type(value) is str else "the object"
    explain = _explain_missing(value)

    def whole(here: Json, frame: Frame) -> dict[str, Json]:
        found = source(here, frame)
        if type(found) is dict:
            return found
        if found is MISSING or found is None or found == []:
            if explain is not None:
                explain(here, frame)
            return {}
        raise InvalidRecord(f"{name} is {kind_of(found)}, expected an object")

    return whole


def _explain_missing(value: Value) -> Callable[[Json, Frame], None] | None:
    """Return a reader that raises InvalidRecord where a form found nothing in what it reads: not JSON, not
    pairs.

    If what it reads is missing, the object is empty.
    """
    main = next((word for word in ("json", "pairs") if type(value) is dict and word in value), None)
    if main is None or type(value) is not dict:
        return None
    inner = value[main]
    # Its problems were reported when it was first compiled.
    read = compile_source(inner, Context(Problems(), levels=MOST_LEVELS))
    name = f"`{inner}`" if type(inner) is str else f"what `{main}` reads"

    def explain(here: Json, frame: Frame) -> None:
        held = read(here, frame)
        if held is MISSING or held is None or held == "" or type(held) is list:
            return
        if main == "pairs":
            raise InvalidRecord(f"{name} is {kind_of(held)}, expected an array of pairs")
        if type(held) is str:
            spend_parsed(held)
            try:
                strict.loads(held.encode())
            except (InvalidRecord, UnicodeEncodeError) as error:
                raise InvalidRecord(f"{name} is no JSON: {error}") from None
        elif type(held) is not dict:
            raise InvalidRecord(f"{name} is {kind_of(held)}, expected a JSON text")

    return explain


def _rest(context: Context) -> Object:
    reads = context.reads
    used: frozenset[str] | None = None

    def rest(here: Json, frame: Frame) -> dict[str, Json]:
        nonlocal used
        if used is None:
            used = field_names(reads)
        if type(here) is not dict:
            raise InvalidRecord(f"the element is {kind_of(here)}, expected an object for `*`")
        return {name: one for name, one in here.items() if name not in used}

    return rest


def compile_map(value: dict[str, Value], context: Context) -> Object:
    """Return the reader of a map of name to value, nested maps included; missing values are omitted."""
    items: list[tuple[str, Source]] = []
    slip = slipped_form(value)
    if slip is not None:
        word, close = slip
        hint = f"did you mean `{close}`? As it is, `{word}` is the name of a property"
        context.problems.warn(
            (word,),
            "form-or-map",
            f"`{word}` makes a map of names of what looks like a form",
            hint=hint,
            on_key=True,
        )
    for name, inner in value.items():
        if type(inner) is dict and not is_form(inner):
            items.append((name, _inner(compile_map(inner, context.at(name)))))
        elif inner == REST:
            context.at(name).wrong('`*` stands alone: properties: "*"')
        else:
            items.append((name, compile_source(inner, context.at(name))))
    fixed = tuple(items)

    def mapped(here: Json, frame: Frame) -> dict[str, Json]:
        made: dict[str, Json] = {}
        for name, source in fixed:
            found = source(here, frame)
            if found is not MISSING:
                made[name] = found  # type: ignore[assignment]  # not MISSING
        return made

    return mapped


def _inner(read: Object) -> Source:
    def inner(here: Json, frame: Frame) -> Json | Missing:
        return read(here, frame) or MISSING

    return inner
