"""The job's config as `hookline config show` prints it: every value and where it came from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from pipeline.config.models.fields import fields_of, is_section
from pipeline.config.models.validate import submodel
from pipeline.config.yaml.diagnostics import KeyPath
from pipeline.model.json import Value

_SECRET_FIELDS = ("password", "secret", "key", "token")


class Setting(NamedTuple):
    """One value of the job's config."""

    name: str
    value: Value
    origin: str
    """``config/pipeline.yaml:3``, ``environment HOOKLINE_SHARDS``, ``flag --shards`` or ``default``."""


def settings_of(section: object, origin: Callable[[KeyPath], str], prefix: KeyPath = ()) -> Iterator[Setting]:
    """Yield every value of a section and of those inside, by dotted name; ``origin`` tells whence."""
    for name, attribute, info in fields_of(type(section)):
        path, value = (*prefix, name), getattr(section, attribute)
        if is_section(type(value)):
            yield from settings_of(value, origin, path)
        elif value is not None or submodel(info.annotation) is None:
            yield Setting(".".join(map(str, path)), _masked(value), origin(path))


def _masked(value: Value) -> Value:
    """Return a value for showing: what looks like a password among free settings is hidden."""
    if isinstance(value, dict):
        return {
            key: "***" if any(word in key.lower() for word in _SECRET_FIELDS) else _masked(inner)
            for key, inner in value.items()
        }
    return value
