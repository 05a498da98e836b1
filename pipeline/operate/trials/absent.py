"""Paths of a request that lead to nothing for an event, although what is meant stands near."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from pipeline.match.verdicts import nearby
from pipeline.model.json import Value, leaves
from pipeline.model.records import Event, User
from pipeline.render.templates.parsing.names import TemplateError, scan_path

_INSIDE: Final = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_BEGINS: Final = re.compile(r"(?<![\w.'\"$-])(?:event|user)\.")
_ARRAY: Final = re.compile(r"`(?P<many>.+)` is an array: `(?P=many)\[\*\]\.(?P<field>[\w$.-]+)` looks .*")


def absent(request: Value, event: Event, user: User) -> list[str]:
    """Return a sentence for each such path in the templates of a webhook's `request`, each once."""
    found: dict[str, str] = {}
    for _, text in leaves(request):
        for path, inside in _paths(text) if isinstance(text, str) else ():
            near = None if path in found else nearby(path, event, user)
            # `user.properties.email | default: event.properties.email` knows of both.
            if near is not None and near.removeprefix("there is `").rstrip("`") not in inside:
                found[path] = f"`{path}` is missing: {_ARRAY.sub(_mapped, near)}"
    return list(found.values())


def _paths(text: str) -> Iterator[tuple[str, str]]:
    """Yield each path in a text's expressions and tags, with the one that it stands in."""
    for inside in _INSIDE.finditer(text):
        for begin in _BEGINS.finditer(text, *inside.span()):
            path = _path(text, begin.start())
            if path is not None:
                yield path, inside[0]


def _path(text: str, start: int) -> str | None:
    try:
        return text[start : scan_path(text, start)]
    except TemplateError:
        return None


def _mapped(found: re.Match[str]) -> str:
    many, field = found["many"], found["field"]
    return f"`{many}` is an array, `{many} | map: '{field}'` that of its elements"
