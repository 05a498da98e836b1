"""The layers of the job's config: file, HOOKLINE_* variables, flags; each value knows its origin."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, get_args, get_origin

from pipeline.config.models.field_types import fields_of
from pipeline.config.models.installation.job import PipelineFile
from pipeline.config.models.validate import submodel
from pipeline.config.yaml import scalars
from pipeline.config.yaml.diagnostics import KeyPath
from pipeline.model.findings import Finding
from pipeline.model.json import Value
from pipeline.model.words import did_you_mean

PREFIX = "HOOKLINE_"
_OTHERS = frozenset({"CONFIG", "SHARED_DATA", "TEST_KAFKA"})
"""Variables with this prefix that are not settings of the job."""
_SHORT = {"SOURCE": ("source", "jsonl", "paths"), "FOLLOW": ("source", "jsonl", "follow")}
"""Variables named after a flag rather than after a field."""
_FLAGS = {
    "source.jsonl.paths": "--source",
    "network.allow": "--allow",
    "log.level": "--log-level",
    "log.format": "--log-format",
    "console.hosts": "--host",
    "console.tokens": "--token-file",
    "console.proxy.from": "--proxy-from",
    "console.proxy.user_header": "--proxy-user-header",
    "console.proxy.role_header": "--proxy-role-header",
    "console.proxy.role": "--proxy-role",
}
"""Flags that are not named after the last part of their field."""


class Layers:
    """Starts with the file's values; a later layer's value wins, with its origin."""

    def __init__(self, data: dict[str, Value]) -> None:
        self.data = data
        self._origins: dict[KeyPath, str] = {}
        self._note_file(data, ())

    def set_variables(self, environ: Mapping[str, str]) -> Iterator[Finding]:
        """Set the values of HOOKLINE_* variables, and yield a warning for each probable misspelling."""
        known, leaves = _known_variables(), _fields()
        for name in sorted(environ):
            if not name.startswith(PREFIX) or name[len(PREFIX) :] in _OTHERS:
                continue
            path, origin = known.get(name), f"environment {name}"
            if path is not None:
                self._set(path, _from_text(environ[name], leaves[path]), origin)
            elif close := did_you_mean(name, known, likeness=0.85):
                message, hint = f"`{name}` sets nothing", f"did you mean `{close}`?"
                yield Finding(origin, 0, 0, "unknown-variable", message, hint, warning=True)

    def set_flags(self, flags: Mapping[str, Value]) -> None:
        """Set values by dotted name (``source.jsonl.paths``); None: not given."""
        for name, value in flags.items():
            if value is not None:
                flag = _FLAGS.get(name) or "--" + name.split(".")[-1].replace("_", "-")
                self._set(tuple(name.split(".")), value, f"flag {flag}")

    def origin(self, path: KeyPath) -> str:
        """Return where a value came from: ``file``, ``environment NAME``, ``flag --NAME`` or ``default``."""
        for length in range(len(path), 0, -1):
            if path[:length] in self._origins:
                return self._origins[path[:length]]
        inside = [origin for known, origin in self._origins.items() if path and known[: len(path)] == path]
        return inside[-1] if inside else "default"

    def _note_file(self, value: Value, path: KeyPath) -> None:
        if isinstance(value, dict) and value:
            for key, inner in value.items():
                self._note_file(inner, (*path, key))
        elif path:
            self._origins[path] = "file"

    def _set(self, path: KeyPath, value: Value, origin: str) -> None:
        here = self.data
        for index, part in enumerate(path[:-1]):
            if path[index - 1 : index] == ("source",) and index == 1 and part not in here:
                # Another kind of source replaces the one that a lower layer named.
                here.clear()
            inner = here.get(str(part))
            if not isinstance(inner, dict):
                inner = here[str(part)] = {}
            here = inner
        if path == ("source", "jsonl", "paths"):
            here.pop("events", None)
            here.pop("users", None)
        here[str(path[-1])] = value
        for known in [known for known in self._origins if known[: len(path)] == path]:
            del self._origins[known]
        self._origins[path] = origin


def variables() -> Iterator[tuple[str, KeyPath]]:
    """Yield every HOOKLINE_* variable with the field it sets."""
    for path, _ in _leaves(PipelineFile):
        yield PREFIX + "_".join(map(str, path)).upper(), path
    for name, short in _SHORT.items():
        yield PREFIX + name, short


@cache
def _known_variables() -> Mapping[str, KeyPath]:
    return dict(variables())


@cache
def _fields() -> Mapping[KeyPath, Any]:
    return dict(_leaves(PipelineFile))


def _leaves(section: type, prefix: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    for name, _, info in fields_of(section):
        inner = submodel(info.annotation)
        if inner is None or not {str, list, dict}.isdisjoint(_kinds(info.annotation)):
            yield (*prefix, name), info.annotation
        else:
            yield from _leaves(inner, (*prefix, name))


def _kinds(annotation: Any) -> Iterator[Any]:
    """Yield the parts of a field's type: list, bool, NoneType, ..., also inside ``X | None``."""
    yield get_origin(annotation) or annotation
    if get_origin(annotation) is not list:
        for part in get_args(annotation):
            yield from _kinds(part)


def _from_text(text: str, annotation: Any) -> Value:
    """Return a variable's value in the field's type: lists are separated by commas."""
    kinds = set(_kinds(annotation))
    if list in kinds:
        return [part.strip() for part in text.split(",") if part.strip()]
    if kinds & {bool, int}:
        if bool in kinds and text in ("0", "1"):
            return text == "1"
        return scalars.resolve(text)
    return None if text == "null" and type(None) in kinds else text
