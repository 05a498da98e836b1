"""Values as a person types them into a field: ``500``, ``true``, ``null``, text; lists with commas.

A text that would be read as something else stands in double quotes, as in JSON: ``"500"``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from pipeline.config.edit.writing import Writer
from pipeline.config.yaml import scalars
from pipeline.model.json import Value

_UNKEPT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff\ufeff]")
"""What a browser's form does not give back as it was."""
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')


def normal(text: str) -> str:
    """Return a text with the line ends of a file: browsers send others."""
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def comes_back(text: str, *, lines: bool = False) -> bool:
    """Return whether a field gives a text back as it was. lines: the field holds several."""
    return not _UNKEPT.search(text) and (lines or not re.search("[\r\n]", text))


def shown(value: Value) -> str:
    """Return a single value as it is typed."""
    if not isinstance(value, str):
        return Writer(None, "").scalar(value, flow=False)
    if not value or value != value.strip() or not comes_back(value, lines=True) or _means(value) != value:
        return json.dumps(value, ensure_ascii=bool(_UNKEPT.search(value)))
    return value


def meant(text: str) -> Value:
    """Return the value that a person means. Raises ValueError for a number that nobody could read back."""
    text = normal(text).strip()
    if (found := _in_quotes(text)) is not None:
        return found
    try:
        return scalars.resolve(text)
    except ValueError as error:
        raise ValueError(f'{error}: as a text it needs quotes, "{text[:24]}"') from None


def _means(text: str) -> Value:
    try:
        return meant(text)
    except ValueError:
        return None


def _in_quotes(text: str) -> str | None:
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        return None
    try:
        found = json.loads(text, strict=False)
    except ValueError:
        return None
    return found if isinstance(found, str) else None


def shown_list(values: Iterable[Value], *, names: bool = False) -> str:
    """Return values on one line, with commas between them. names: all are texts, whatever they look like."""
    return ", ".join(_shown_name(one) if names else _in_list(one) for one in values)


def _in_list(value: Value) -> str:
    if isinstance(value, str) and ("," in value or "\n" in value or value[:1] == '"'):
        return json.dumps(value, ensure_ascii=bool(_UNKEPT.search(value)))
    return shown(value)


def _shown_name(name: str) -> str:
    plain = comes_back(name) and name == name.strip() and name and "," not in name and name[0] != '"'
    return name if plain else json.dumps(name, ensure_ascii=bool(_UNKEPT.search(name)))


def meant_list(text: str, *, names: bool = False) -> list[Value]:
    """Return the values between commas; empty ones are left out. Raises ValueError as `meant` does."""
    found: list[Value] = []
    for part in _parts(normal(text)):
        quoted = _in_quotes(part)
        if quoted is not None:
            found.append(quoted)
        elif part:
            found.append(part if names else meant(part))
    return found


def _parts(text: str) -> Iterable[str]:
    at = 0
    while at <= len(text):
        begin = at + len(text[at:]) - len(text[at:].lstrip())
        quoted = _QUOTED.match(text, begin)
        end = text.find(",", quoted.end() if quoted is not None else begin)
        end = len(text) if end < 0 else end
        yield text[begin:end].strip()
        at = end + 1
