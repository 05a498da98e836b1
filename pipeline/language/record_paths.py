"""Paths of custom shapes (LANGUAGE 9): they start at the record, at its parent, or at its message.

actor.id   items[0].sku   ["odd name"].x     the record; in a member with `each` its element
.                                            the record or element itself
^.buyer.id   ^^.id                           what holds the element, and what holds that
message.key   message.headers.tenant   message.topic   message.time
each.key   each.index                        of the element
["message"]                                  the record's own field
"""

from __future__ import annotations

import re
from typing import Final

from pipeline.language.path_syntax import Path, PathError, parse_path

RECORD: Final = "record"
UP: Final = ("", "up", "upup")
"""The roots that `^` and `^^` stand for."""
MESSAGE: Final = "message"
EACH: Final = "each"
ROOTS: Final = (RECORD, "up", "upup", MESSAGE, EACH)
MESSAGE_FIELDS: Final = ("key", "headers", "topic", "time")

_FIRST: Final = re.compile(r"(message|each)(?=[.\[]|$)")


def parse_record_path(text: str, levels: int) -> Path:
    """Return the path that a text says inside ``levels`` nested `each` lists; raises PathError.

    Its text is kept as written.
    """
    if text == "$" or text.startswith(("$.", "$[")):
        raise PathError("paths start at the record itself, without `$`", 0, _without(text, "$.", '["$"]'))
    root, rest, shift = _rooted(text, levels)
    try:
        path = parse_path(root + rest, (root,))
    except PathError as error:
        hint = error.hint
        if hint is not None:
            hint = hint.replace(f"{root}.", "").replace('event.properties["Sales Rep"]', '["Sales Rep"]')
        raise PathError(error.message, max(error.offset - shift, 0), _slip(text) or hint) from None
    if any(isinstance(part, Path) for part in path.parts):
        raise PathError("a key in brackets is quoted or a number", 0, 'write ["name"]')
    _check(path, text)
    return Path(path.root, path.parts, text)


def _slip(text: str) -> str | None:
    """Return the hint for what looks like a template, a constant or another language's path."""
    if "{{" in text:
        return "a path stands by itself, without {{ }}"
    if text == "*":
        return '"*" stands alone below properties, context or set, not in a list or a map'
    if text.endswith(".*"):
        return f"an object is taken whole: {text[:-2]}"
    if text.startswith((".", "/")):
        return _without(text, "./", "") + " (names are joined by dots)"
    if "|" in text:
        several = [one.strip() for one in text.split("|") if one.strip()]
        return f"of several paths the first that is set: [{', '.join(several)}]"
    if re.fullmatch(r"[\w$-]+( [\w$-]+)+", text):
        return f'a constant is written {{text: {text}}}, a field of this name ["{text}"]'
    return None


def _without(text: str, marks: str, instead: str) -> str:
    return f"write {text.lstrip(marks).replace('/', '.') or instead}"


def _rooted(text: str, levels: int) -> tuple[str, str, int]:
    """Return the root, the rest of the text, and by how much offsets in it are shifted."""
    if text == ".":
        return RECORD, "", 0
    ups = len(text) - len(text.lstrip("^"))
    if ups:
        if ups > 2:
            raise PathError("`^^` is as far up as a path goes", 2)
        if ups > levels:
            where = "one level is" if levels == 1 else "none is"
            raise PathError(f"`{'^' * ups}` leads out of what `each` has entered: {where} entered here", 0)
        rest = text[ups:]
        if rest and rest[0] not in ".[":
            raise PathError("a dot or a bracket follows `^`", ups, f"write {text[:ups]}.{rest}")
        return UP[ups], rest, len(UP[ups]) - ups
    if text.startswith("["):
        return RECORD, text, len(RECORD)
    found = _FIRST.match(text)
    if found is not None and (found[1] == MESSAGE or levels):
        return found[1], text[found.end() :], 0
    return RECORD, f".{text}", len(RECORD) + 1


def _check(path: Path, text: str) -> None:
    first = path.parts[0] if path.parts else None
    if path.root == MESSAGE and (
        first not in MESSAGE_FIELDS or (first == "headers" and len(path.parts) != 2)
    ):
        raise PathError(
            f"`{text}` is nothing that a message has",
            len("message."),
            "it has message.key, message.headers.NAME, message.topic and message.time; the record's own "
            'field is ["message"]',
        )
    if path.root == EACH and (len(path.parts) != 1 or first not in ("key", "index")):
        hint = 'there are each.key and each.index; the element\'s own field is ["each"]'
        raise PathError(f"`{text}` is nothing that `each` gives", len("each."), hint)


def first_name(path: Path) -> str | None:
    """Return the top-level field of the record that a path begins with; None where it is not one field."""
    if path.root == RECORD and path.parts and isinstance(path.parts[0], str):
        return path.parts[0]
    return None
