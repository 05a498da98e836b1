"""Generates the code that reads one event: the common case inline, the entry's own readers for the rest.

It expects texts where texts are usual, integers for unix times, objects for objects, and returns the same as
the readers in half the time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from pipeline.config.models.shape import EventPart
from pipeline.config.yaml.diagnostics import Problems
from pipeline.decode.glance.glance import Wants
from pipeline.decode.mapped.entries import Member
from pipeline.decode.mapped.frame import Frame
from pipeline.decode.mapped.objects import REST
from pipeline.decode.mapped.parts import EventReads
from pipeline.decode.mapped.values.forms import Context, compile_source, is_form
from pipeline.decode.mapped.values.times import millis_per
from pipeline.decode.raw.fields import FIRST_OF_ID, Place
from pipeline.language.path_syntax import PathError
from pipeline.language.record_paths import RECORD, parse_record_path
from pipeline.model.json import Json, Value
from pipeline.model.records import MISSING, Event, Origin
from pipeline.model.times import MAX_MS, MIN_MS, time_or_none

FRAME: Final = Frame(None, Place(Origin("", 0)))
"""Passed to readers that read only the record."""
Read = Callable[["dict[str, Json]", Origin, "int | None"], "Event | None"]
"""Returns the event, None in uncommon cases. Raises what readers raise, and ValueError."""
Unwanted = Callable[["dict[str, Json]", Wants], bool]
"""Returns whether `Read` would certainly return an event, and an unwanted one. Raises as `Read` does."""


def write_read(member: Member) -> Read | None:
    """Return the generated function that reads an entry's one event."""
    model, reads = member.model, member.reads
    if model is None or reads is None:
        return None
    code = _Code()
    _write_who(code, model, reads)
    if model.received_at is not None:
        code.time("received", model.received_at, reads.received_at)
        code.lines.append("if received is not None: at = received")
    code.time("time", model.time, reads.time)
    code.text("source", model.source, reads.source)
    code.object("properties", model.properties, member.properties)
    code.object("context", model.context, member.context)
    code.lines.append(
        "return Event(id, name, kind, user, anonymous, at if time is None else time, at, source, properties, "
        "context, origin)"
    )
    made: Read = code.function("here, origin, at")  # type: ignore[assignment]  # as it was written
    return made


def write_unwanted(model: EventPart, reads: EventReads) -> Unwanted:
    """Return the generated function that judges an entry's one event without reading its objects."""
    code = _Code()
    _write_who(code, model, reads, "if wants(name, kind): return False")
    for value, read in ((model.received_at, reads.received_at), (model.time, reads.time)):
        code.time("time", value, read)
    code.text("source", model.source, reads.source)
    code.lines.append("return True")
    made: Unwanted = code.function("here, wants")  # type: ignore[assignment]  # as it was written
    return made


def _write_who(code: _Code, model: EventPart, reads: EventReads, *then: str) -> None:
    code.text("name", model.name, reads.name)
    code.lines.append("if name is None: return None")
    code.text("kind", {"text": "track"} if model.kind is None else model.kind, reads.kind)
    code.lines.append("if kind is None: kind = 'track'")
    code.lines += then
    code.text("user", model.user_id, reads.user_id, is_id=True)
    code.text("anonymous", model.anonymous_id, reads.anonymous_id, is_id=True)
    code.lines.append("if user is None and anonymous is None: return None")
    code.text("id", model.id, reads.id, is_id=True)


class _Code:
    """The lines of a function, and the values that they refer to."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.values: dict[str, object] = {}

    def value(self, value: object) -> str:
        """Return a variable name for a value. Nothing from a config is ever pasted into the code."""
        name = f"c{len(self.values)}"
        self.values[name] = value
        return name

    def function(self, takes: str) -> object:
        """Compile the lines and return the function."""
        body = "\n    ".join(self.lines)
        names = self.values | {
            "Event": Event, "FIRST_OF_ID": FIRST_OF_ID, "MISSING": MISSING, "MIN_MS": MIN_MS,
            "MAX_MS": MAX_MS, "time_or_none": time_or_none, "frame": FRAME,
        }  # fmt: skip
        exec(compile(f"def read({takes}):\n    {body}\n", "<a custom shape>", "exec"), names)
        return names["read"]

    def path(self, parts: Sequence[str], target: str, default: str = "None") -> None:
        """Emit code that reads a path of names into a variable."""
        *outer, last = parts
        here = "here"
        for part in outer:
            get = f"{here}.get({self.value(part)})"
            self.lines.append(
                f"{target} = {get}" + ("" if here == "here" else f" if type({here}) is dict else None")
            )
            here = target
        if here == "here":
            self.lines.append(f"{target} = here.get({self.value(last)}, {default})")
        else:
            get = f"{here}.get({self.value(last)}, {default})"
            self.lines.append(f"{target} = {get} if type({here}) is dict else {default}")

    def slow(self, target: str, read: object) -> str:
        """Return an assignment that calls a reader."""
        return f"{target} = {self.value(read)}(here, frame)"

    def text(self, target: str, value: Value, read: object, *, is_id: bool = False) -> None:
        """Emit code that reads a name, or an id, which may be blank: then the reader decides."""
        unset = f"{target} < FIRST_OF_ID" if is_id else f"not {target}"
        if value is None:
            self.lines.append(f"{target} = None")
        elif isinstance(value, dict) and value.keys() == {"text"} and isinstance(value["text"], str):
            self.lines.append(f"{target} = {self.value(value['text'] or None)}")
        elif (parts := simple(value)) is not None:
            self.path(parts, target)
            self.lines += [
                f"if type({target}) is not str:",
                f"    if {target} is not None: {self.slow(target, read)}",
                f"elif {unset}: {self.slow(target, read)}",
            ]
        elif isinstance(value, list) and value and (parts := simple(value[0])) is not None:
            self.path(parts, target)
            # A list passes over a blank text, for a name as well.
            unset = f"{target} < FIRST_OF_ID"
            self.lines.append(f"if type({target}) is not str or {unset}: {self.slow(target, read)}")
        else:
            self.lines.append(self.slow(target, read))

    def time(self, target: str, value: Value, read: object) -> None:
        """Emit code that reads a time."""
        if value is None:
            self.lines.append(f"{target} = None")
            return
        if (parts := simple(value)) is not None:
            self.path(parts, target)
            self.lines.append(
                f"{target} = None if {target} is None or {target} == '' else time_or_none({target})"
            )
            return
        is_unit = isinstance(value, dict) and value.keys() == {"path", "unit"}
        if is_unit and (parts := simple(value["path"])) is not None:
            times, per = millis_per(value["unit"])
            self.path(parts, "v")
            self.lines += [
                f"if type(v) is int and 0 <= v < {10**18 * per // times}:",
                f"    {target} = v * {times} // {per}",
                f"    if not MIN_MS <= {target} <= MAX_MS: return None",
                f"else: {self.slow(target, read)}",
            ]
            return
        self.lines.append(self.slow(target, read))

    def object(self, target: str, value: Value, read: object) -> None:
        """Emit code that reads properties or context."""
        if value is None:
            self.lines.append(f"{target} = {{}}")
        elif (parts := simple(value)) is not None and value != REST:
            self.path(parts, target)
            self.lines.append(f"if type({target}) is not dict: {self.slow(target, read)}")
        elif isinstance(value, dict) and not is_form(value) and not any(map(_is_map, value.values())):
            self.lines.append(f"{target} = {{}}")
            for name, inner in value.items():
                if (parts := simple(inner)) is not None:
                    self.path(parts, "v", "MISSING")
                else:
                    self.lines.append(self.slow("v", compile_source(inner, Context(Problems()))))
                self.lines.append(f"if v is not MISSING: {target}[{self.value(name)}] = v")
        else:
            self.lines.append(self.slow(target, read))


def _is_map(value: Value) -> bool:
    return isinstance(value, dict) and not is_form(value)


def simple(value: Value) -> tuple[str, ...] | None:
    """Return the names of a path that consists of names only; None for any other."""
    if not isinstance(value, str):
        return None
    try:
        path = parse_record_path(value, 0)
    except PathError:
        return None
    names = tuple(part for part in path.parts if isinstance(part, str))
    return names if path.root == RECORD and names and len(names) == len(path.parts) else None
