"""Places in a file as people write them: ``trigger.where[0]["event.properties.amount"].gte``."""

from __future__ import annotations

import json
import re

from pipeline.config.yaml.diagnostics import KeyPath
from pipeline.model.errors import UsageError
from pipeline.model.json import Value

_NAME = re.compile(r"[^.\[\]\"'\s]+")
_INDEX = re.compile(r"\[(\d{1,9})\]")
_QUOTED = re.compile(r"""\[("(?:[^"\\]|\\.)*"|'(?:[^'])*')\]""")


def parse_path(text: str, data: Value = None) -> KeyPath:
    """Return the keys and indexes of a path. Raises UsageError.

    data: the file's; if it has a key with dots, such as `event.properties.amount`, that one is meant.
    """
    return _joined(tuple(_parts(text)), data)


def _parts(text: str) -> list[str | int]:
    parts: list[str | int] = []
    at = 0
    while at < len(text):
        if text[at] == ".":
            if at == 0 or at + 1 == len(text) or text[at + 1] in ".[":
                raise _wrong(text, at, "a `.` stands between two names")
            at += 1
        if (found := _INDEX.match(text, at)) is not None:
            parts.append(int(found[1]))
        elif (found := _QUOTED.match(text, at)) is not None:
            parts.append(_unquoted(text, at, found[1]))
        elif text[at] != "[" and (found := _NAME.match(text, at)) is not None:
            parts.append(found[0])
        else:
            raise _wrong(text, at, 'write a.b, a[0] or a["any key"]')
        at = found.end()
        if at < len(text) and text[at] not in ".[":
            raise _wrong(text, at, 'write a.b, a[0] or a["any key"]')
    if not parts:
        raise UsageError("the path is empty: name a place, such as request.url")
    return parts


def _unquoted(text: str, at: int, quoted: str) -> str:
    if quoted[0] == "'":
        return quoted[1:-1]
    try:
        found = json.loads(quoted)
    except ValueError:
        raise _wrong(
            text, at, "this text in quotes is not closed, or has an escape that JSON does not know"
        ) from None
    assert isinstance(found, str)  # it is in quotes
    return found


def _wrong(text: str, at: int, hint: str) -> UsageError:
    return UsageError(f"`{text}` is no path: {hint} (at character {at + 1})")


def _joined(parts: tuple[str | int, ...], data: Value) -> KeyPath:
    path: list[str | int] = []
    at = 0
    while at < len(parts):
        step, length = parts[at], 1
        if isinstance(data, dict) and step not in data:
            for end in range(len(parts), at + 1, -1):
                names = parts[at:end]
                if all(isinstance(name, str) for name in names) and ".".join(map(str, names)) in data:
                    step, length = ".".join(map(str, names)), end - at
                    break
        path.append(step)
        if isinstance(data, dict):
            data = data.get(str(step))
        elif isinstance(data, list) and isinstance(step, int) and step < len(data):
            data = data[step]
        else:
            data = None
        at += length
    return tuple(path)


def show_path(path: KeyPath) -> str:
    """Return a path as `parse_path` reads it."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _NAME.fullmatch(part):
            text += f".{part}" if text else part
        else:
            text += f"[{json.dumps(part, ensure_ascii=False)}]"
    return text
