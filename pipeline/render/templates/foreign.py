"""Templates as other products write them: they would be sent as they stand there, so they are warned of.

`{person.properties.name}` is PostHog's, `$.properties.total` what Segment's and RudderStack's mappings have.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from pipeline.language.path_syntax import EVENT_ROOTS, PathError, parse_path
from pipeline.render.templates.spot import Spot

_BRACES: Final = re.compile(
    r"(?<![{$])\{ *(?:to(?:Float|Int|String)\( *)?"
    r"((?:event|person)(?:\.[\w$-]+)*|user(?:\.[\w$-]+)+) *\)? *\}(?!\})"
)
_ROOTED: Final = re.compile(
    r"\$\.((?:properties|traits|context|event|type|userId|anonymousId|messageId|timestamp)(?:\.[\w-]+)*)\s*"
)
_MEANT: Final = re.compile(r"did you mean `(.+)`\?")


def warn_of_foreign(text: str, spot: Spot) -> None:
    """Warn of each template of another product in a text, with what it is called here."""
    for written, offset, path in _found(text):
        spot.problems.warn(
            spot.path,
            "looks-like-template",
            f"`{written}` is sent as it is written",
            hint=f"write `{{{{ {_here(path)} }}}}` if the value is meant",
            offset=offset + spot.shift,
            length=len(written),
        )


def _found(text: str) -> Iterator[tuple[str, int, str]]:
    """Yield each one: as it is written, where, and its path."""
    if "{" in text:
        for one in _BRACES.finditer(text):
            yield one[0], one.start(), one[1]
    if text.startswith("$.") and (rooted := _ROOTED.fullmatch(text)):
        path = rooted[1].removeprefix("context.") if rooted[1].startswith("context.traits") else rooted[1]
        yield text.rstrip(), 0, path if path.startswith("traits") else f"event.{path}"


def _here(path: str) -> str:
    """Return what another product's path is called here: the remedies of paths know that."""
    for _ in range(3):
        try:
            parse_path(path, EVENT_ROOTS)
        except PathError as error:
            meant = _MEANT.fullmatch(error.hint or "")
            if meant is None:
                break
            path = meant[1]
        else:
            break
    return path
