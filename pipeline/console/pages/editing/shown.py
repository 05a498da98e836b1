"""How values are displayed on the edit page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import orjson

from pipeline.console.forms.fields.rows import LIST, OBJECT, FormRow
from pipeline.match.operators.table import OPERATORS
from pipeline.model.json import Value
from pipeline.model.printable import printable
from pipeline.operate.curl import curl_of
from pipeline.operate.unsaved.results import ShownRequest

_WORDS: Final = {
    "eq": "is",
    "ne": "is not",
    "gt": "is more than",
    "gte": "is at least",
    "lt": "is less than",
    "lte": "is at most",
    "between": "is between",
    "in": "is one of",
    "not_in": "is none of",
    "not_contains": "does not contain",
    "starts_with": "starts with",
    "ends_with": "ends with",
    "glob": "fits the pattern",
    "regex": "has the regex",
    "present": "is filled",
}


def operator_words() -> list[tuple[str, str]]:
    """Return the operators of conditions, each as it is said and as the YAML has it."""
    return [(name, f"{_WORDS[name]} ({name})" if name in _WORDS else name) for name in OPERATORS]


def laid_out(rows: Sequence[FormRow]) -> Iterator[tuple[int, FormRow, bool]]:
    """Yield the rows of a body; True: the end of an object or list, where another entry can be added."""
    begun: list[int] = []
    for index, row in enumerate(rows):
        while begun and rows[begun[-1]].depth >= row.depth:
            yield begun[-1], rows[begun.pop()], True
        yield index, row, False
        if row.kind in (OBJECT, LIST):
            begun.append(index)
    while begun:
        yield begun[-1], rows[begun.pop()], True


def shown_body(request: ShownRequest) -> str:
    """Return a body to be read by people: JSON in lines where it is long."""
    if request.encoding != "json" or len(request.body) < 80:
        return request.body
    try:
        return orjson.dumps(orjson.loads(request.body), option=orjson.OPT_INDENT_2).decode()
    except ValueError:
        return request.body


def curl_shown(request: ShownRequest) -> str:
    """Return a request as a command for curl, without what is only made when it is sent."""
    return printable(curl_of(request.method, request.url, request.headers.items(), request.body))


def brief(value: Value) -> str:
    """Return a value on one short line."""
    text = orjson.dumps(value, default=str).decode()
    return text if len(text) <= 120 else text[:117] + "..."
