"""What a path that finds nothing probably meant: an array's elements, or a similar name."""

from __future__ import annotations

from typing import Final

from pipeline.language.path_syntax import OPEN_FIELDS, Part, PathError, key_step, parse_path
from pipeline.model.json import Value
from pipeline.model.records import Event, User
from pipeline.model.words import did_you_mean

_MOST: Final = 200
"""Maximum number of names that are searched."""


def nearby(text: str, event: Event, user: User) -> str | None:
    """Return what is near a path of event or user that leads to nothing; None: nothing is."""
    try:
        path = parse_path(text, ("event", "user"))
    except PathError:
        return None
    if not path.parts or path.parts[0] not in OPEN_FIELDS:
        return None
    whose = event if path.root == "event" else user
    value: Value = getattr(whose, str(path.parts[0]), None)
    walked = f"{path.root}.{path.parts[0]}"
    for number, part in enumerate(path.parts[1:], 1):
        if isinstance(value, list) and isinstance(part, str):
            meant = f"{walked}[*]{''.join(map(_step, path.parts[number:]))}"
            return f"`{walked}` is an array: `{meant}` looks at each of its elements"
        if isinstance(value, dict) and isinstance(part, str):
            if part not in value:
                close = did_you_mean(part, value, 0.75) if len(value) <= _MOST else None
                return f"there is `{walked}{_step(close)}`" if close is not None else None
            value = value[part]
        elif isinstance(value, list) and isinstance(part, int) and -len(value) <= part < len(value):
            value = value[part]
        else:
            return None
        walked += _step(part)
    return None


def _step(part: Part) -> str:
    return key_step(part) if isinstance(part, str) else f"[{part if isinstance(part, int) else '*'}]"
