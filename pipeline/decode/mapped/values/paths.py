"""The paths of custom shapes, compiled to functions that read them."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.decode.mapped.frame import Frame, Source, key_text, message_of
from pipeline.decode.mapped.values.prices import STEP, spend_joined
from pipeline.decode.work import spend_work
from pipeline.language.path_syntax import ANY, Part, Path
from pipeline.language.paths import step
from pipeline.language.record_paths import EACH, MESSAGE, RECORD
from pipeline.language.work import CHARS, extent
from pipeline.model.json import Json, Value
from pipeline.model.records import MISSING, Missing


def compile_record_path(path: Path) -> Source:
    """Return the reader of a path; one with ``[*]`` returns the list of all values found."""
    if path.root == RECORD:
        return _below(path.parts)
    if path.root == MESSAGE:
        return _of_message(path)
    if path.root == EACH:
        if path.parts == ("key",):
            return lambda here, frame: frame.key
        return lambda here, frame: frame.index
    read = _below(path.parts)
    is_far = path.root != "up"

    def above(here: Json, frame: Frame) -> Json | Missing:
        up = frame.up
        if is_far and up is not None:
            up = up.up
        if up is None:
            return MISSING
        found = read(up.here, frame)
        if type(found) is dict or type(found) is list or (type(found) is str and len(found) > CHARS):
            spend_work(extent(found))  # every element shares it, and it is written with each
        return found

    return above


def _of_message(path: Path) -> Source:
    if path.parts == ("key",):
        return _whole_key
    read = _below(path.parts)
    return lambda here, frame: read(message_of(frame), frame)


def _whole_key(here: Json, frame: Frame) -> Json | Missing:
    key = key_text(frame.place)
    if type(key) is str:
        spend_joined(len(key))
    return key


def _below(parts: Sequence[Part]) -> Source:
    if not parts:
        return lambda here, frame: here
    if any(part is ANY for part in parts):
        return _many(parts)
    first = parts[0]
    if len(parts) == 1 and isinstance(first, str):

        def one_name(here: Json, frame: Frame) -> Json | Missing:
            return here.get(first, MISSING) if type(here) is dict else MISSING

        return one_name
    second = parts[1] if len(parts) == 2 else None
    if isinstance(first, str) and isinstance(second, str):

        def two_names(here: Json, frame: Frame) -> Json | Missing:
            inner = here.get(first) if type(here) is dict else None
            return inner.get(second, MISSING) if type(inner) is dict else MISSING

        return two_names
    keys = tuple(parts)

    def by_steps(here: Json, frame: Frame) -> Json | Missing:
        value: Value = here
        for key in keys:
            value = step(value, key)
            if value is MISSING:
                break
        found: Json | Missing = value
        return found

    return by_steps


def _many(parts: Sequence[Part]) -> Source:
    keys = tuple(parts)

    def all_values(here: Json, frame: Frame) -> Json | Missing:
        values: list[Value] = [here]
        for key in keys:
            if key is ANY:
                values = [one for value in values for one in elements(value)]
            else:
                spend_work(STEP * len(values))
                values = [found for value in values if (found := step(value, key)) is not MISSING]
            spend_work(len(values))
        return values or MISSING

    return all_values


def elements(value: Value) -> list[Json]:
    """Return the values that ``[*]`` stands for: a list's elements, an object's values."""
    if type(value) is list:
        return value
    return list(value.values()) if type(value) is dict else []
