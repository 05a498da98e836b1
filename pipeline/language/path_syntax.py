"""The path grammar that conditions, templates and `by:` share (LANGUAGE 1).

A path is a root, then names (letters, digits, ``_``, ``$``, ``-``) after dots, and brackets for everything
else: ``["Sales Rep"]``, ``['a.b']``, ``[0]``, ``[-1]``, ``[*]`` (any element), and ``[user.properties.plan]``
(the key is another path's value). There are no magic names: ``size``, ``first``, ``last``, ``null``,
``empty`` and ``blank`` are ordinary keys.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NoReturn, TypeAlias

from pipeline.model.errors import Misspelt
from pipeline.model.words import did_you_mean

EVENT_ROOTS: Final = ("event", "user", "vars")
FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "event": (
        *("id", "name", "kind", "time", "received_at", "source"),
        *("user_id", "anonymous_id", "properties", "context"),
    ),
    "user": ("id", "anonymous_id", "identified", "properties", "before"),
}
OPEN_FIELDS: Final = frozenset({"properties", "context", "before"})
"""Fixed fields that hold objects; the others are scalars without fields."""

OTHER_NAMES: Final = {
    "userId": "user_id",
    "distinct_id": "user_id",
    "anonymousId": "anonymous_id",
    "messageId": "id",
    "uuid": "id",
    "timestamp": "time",
    "occurred_at": "time",
    "receivedAt": "received_at",
    "event": "name",
    "type": "kind",
    "props": "properties",
    "traits": "properties",
}
"""Other products' names of the fields of events and users."""
_OTHER_ROOTS: Final = {
    **dict.fromkeys(("person", "profile", "customer", "contact"), "user"),
    **{"traits": "user.properties", "var": "vars"},
}
_NAME: Final = re.compile(r"[\w$-]+")
_INDEX: Final = re.compile(r"-?\d{1,9}")


class PathError(Misspelt, ValueError):
    """A text that is not a path."""


class AnyElement:
    """The type of ANY: the step ``[*]``."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "[*]"


ANY: Final = AnyElement()
Part: TypeAlias = "str | int | AnyElement | Path"


@dataclass(slots=True, frozen=True)
class Path:
    """A parsed path. ``parts`` are names, list indexes, `ANY`, or paths whose value is the key."""

    root: str
    parts: tuple[Part, ...]
    text: str

    @property
    def reads_user(self) -> bool:
        """True where the value is known only after identity and join.

        ``event.user_id`` is among them: the identity step fills it in for linked anonymous ids.
        """
        return (
            self.root == "user"
            or (self.root == "event" and (not self.parts or self.parts[0] == "user_id"))
            or any(isinstance(part, Path) and part.reads_user for part in self.parts)
        )

    @property
    def of_event(self) -> bool:
        """True where event, user and vars determine the value: it is the same wherever it is read."""
        return self.root in EVENT_ROOTS and all(
            part.of_event for part in self.parts if isinstance(part, Path)
        )

    @property
    def reads_event_id(self) -> bool:
        """True for ``event.id``, in any spelling."""
        return self.root == "event" and self.parts == ("id",)

    @property
    def reads_event(self) -> bool:
        """True where the value depends on the event."""
        return self.root == "event" or any(isinstance(part, Path) and part.reads_event for part in self.parts)

    @property
    def reads_vars(self) -> bool:
        """True where the value depends on the webhook's vars."""
        return self.root == "vars" or any(isinstance(part, Path) and part.reads_vars for part in self.parts)

    @property
    def has_any(self) -> bool:
        """True where a step is ``[*]``: the path then has many values, not one."""
        return ANY in self.parts


def parse_path(text: str, roots: Collection[str] = EVENT_ROOTS) -> Path:
    """Return the path that the text says; raises PathError where it is none.

    Roots and the fixed fields of event and user are checked here, so that a typo is found at load.
    """
    if len(text) > _SHORT:
        return _whole(text, tuple(roots))
    return _known(text, tuple(roots))


def _whole(text: str, roots: tuple[str, ...]) -> Path:
    path, end = _parse(text, 0, roots, nested=False)
    if end != len(text):
        _fail_at(text, end)
    return path


_SHORT: Final = 100
"""Only paths up to this length are cached: a thousand webhooks mostly use the same ones."""
_known: Final = lru_cache(maxsize=2048)(_whole)


def _parse(text: str, start: int, roots: Collection[str], *, nested: bool) -> tuple[Path, int]:
    named = _NAME.match(text, start)
    if named is None:
        hint = "a path stands without braces" if text.startswith("{{") else None
        raise PathError("a path starts with " + _listed(roots), start, hint)
    root = named.group()
    if root not in roots:
        raise PathError(f"`{root}` is not known here", start, _root_hint(root, text, roots))
    parts: list[Part] = []
    at = named.end()
    while at < len(text):
        before = at
        part: Part
        if text[at] == ".":
            step = _NAME.match(text, at + 1)
            if step is None:
                _fail_at(text, at + 1)
            part, at = step.group(), step.end()
            before += 1
        elif text[at] == "[":
            part, at = _bracket(text, at, roots)
        else:
            break
        if not parts:
            _check_field(root, part, text, before)
        elif len(parts) == 1 and root in FIELDS and parts[0] not in OPEN_FIELDS:
            raise PathError(f"`{root}.{parts[0]}` is a single value and has no fields", before)
        parts.append(part)
    path = Path(root, tuple(parts), text[start:at])
    if nested and path.has_any:
        raise PathError("`[*]` cannot be a key", start)
    return path, at


def _bracket(text: str, start: int, roots: Collection[str]) -> tuple[Part, int]:
    at = _skip_spaces(text, start + 1)
    if at >= len(text):
        raise PathError("a bracket is not closed", start, "add `]`")
    part: Part
    if text[at] == "]":
        raise PathError("a bracket is empty", start, "`[*]` is any element, `[0]` the first")
    if text[at] in "\"'":
        part, at = _quoted(text, at)
    elif text[at] == "*":
        part, at = ANY, at + 1
    elif number := _INDEX.match(text, at):
        part, at = int(number.group()), number.end()
    else:
        named = _NAME.match(text, at)
        if named is not None and named.group() not in roots:
            message = f"`{named.group()}` in brackets is neither quoted nor a path"
            raise PathError(message, at, f'write ["{named.group()}"] for a key of that name')
        part, at = _parse(text, at, roots, nested=True)
    at = _skip_spaces(text, at)
    if at >= len(text) or text[at] != "]":
        raise PathError("a bracket is not closed", start, "add `]`")
    return part, at + 1


def _quoted(text: str, start: int) -> tuple[str, int]:
    """Read a quoted key; a backslash escapes the quote and itself, and is literal elsewhere."""
    quote, at, found = text[start], start + 1, ""
    while at < len(text) and text[at] != quote:
        if text[at] == "\\" and text[at + 1 : at + 2] in (quote, "\\"):
            at += 1
        found += text[at]
        at += 1
    if at >= len(text):
        raise PathError("a quoted name is not closed", start, f"add {quote}")
    return found, at + 1


def like_index(text: str) -> tuple[str, str, str] | None:
    """Return code, message and hint of the warning about ``items.0.sku``, other products' array index.

    None where no short number follows a dot.
    """
    meant = _DOTTED.sub(lambda found: f"[{found[1]}]" if found[1] else found[0], text)
    if meant == text:
        return _like_method(text)
    return "looks-like-index", "a number after a dot is the name of a key", f"for an element write `{meant}`"


def _like_method(text: str) -> tuple[str, str, str] | None:
    """Return the same about ``items.size``, which is how many there are in other languages."""
    found = _MAGIC.fullmatch(text)
    if found is None:
        return None
    many, name, rest = found.groups()
    meant = f"{many}[{'0' if name == 'first' else '-1'}]{rest}"
    hint = f"for an element write `{meant}`"
    if name == "size":
        hint = f"how many there are is `{many} | size`, and `{{as: size}}` in conditions"
    hint += f"; if the key is meant, `{many}['{name}']{rest}`"
    return "looks-like-index", f"`{name}` after a dot is the name of a key", hint


def key_step(name: str) -> str:
    """Return the step to a key of this name: ``.plan``, or ``["Sales Rep"]``."""
    if _NAME.fullmatch(name):
        return f".{name}"
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'["{escaped}"]'


_DOTTED: Final = re.compile(
    r"""\[(?:"[^"]*"|'[^']*'|[^\]"']*)\]"""
    r"""|(?<!\.properties)(?<!\.context)(?<!\.before)\.([0-9]{1,3})(?=[.\[]|$)"""
)
"""A bracket and its content, or a short number after a dot: years and object ids are longer."""
_MAGIC: Final = re.compile(r"(.*\..*[^s]s(?<!\.properties))\.(size|first|last)([.\[].*|)", re.DOTALL)
"""A word of Liquid behind the name of several: ``items.size``."""


def _skip_spaces(text: str, at: int) -> int:
    while at < len(text) and text[at] == " ":
        at += 1
    return at


def _fail_at(text: str, at: int) -> NoReturn:
    if at >= len(text):
        raise PathError("the path ends after a dot", max(at - 1, 0), "name what you mean after the dot")
    hint = 'names with other characters go in brackets: event.properties["Sales Rep"]'
    if text[at - 1] == "." and text[at] == "*":
        hint = f"any element is `[*]`: {text[: at - 1]}[*]{text[at + 1 :]}"
    elif text[at] == ",":
        hint = "a path ends before a comma: where several may stand, they are a list, [a, b]"
    elif text[at - 1] == "." and text[at] == ".":
        hint = f"one dot is enough: {text[:at]}{text[at:].lstrip('.')}"
    raise PathError(f"{text[at]!r} cannot stand in a path here", at, hint)


def _listed(words: Collection[str]) -> str:
    ordered = [f"`{word}`" for word in words if word]
    return ordered[0] if len(ordered) == 1 else ", ".join(ordered[:-1]) + " or " + ordered[-1]


def _root_hint(root: str, text: str, roots: Collection[str]) -> str:
    known = {name: other for name, other in _OTHER_ROOTS.items() if other.split(".")[0] in roots}
    if root in known:
        return f"did you mean `{_whole_hint(text.replace(root, known[root], 1), roots)}`?"
    if "event" in roots and root in FIELDS["event"] and root not in ("id", "name"):
        return f"did you mean `event.{text}`?"
    close = did_you_mean(root, [name for name in roots if name])
    if close is not None:
        return f"did you mean `{_whole_hint(text.replace(root, close, 1), roots)}`?"
    if "response" in roots and root not in EVENT_ROOTS:
        such = text if root in ("status", "headers", "body") else f"body.{text}"
        return f"a path starts with {_listed(roots)}, such as `response.{such}`"
    if "event" in roots and root.isidentifier():
        such = text if root in FIELDS["event"] else f"properties.{text}"
        return f"a path starts with {_listed(roots)}, such as `event.{such}`"
    return "a path starts with " + _listed(roots)


def _whole_hint(path: str, roots: Collection[str]) -> str:
    """Return a path whose root is right now with its field right, too: `user.email` is in its properties."""
    try:
        _parse(path, 0, roots, nested=False)
    except PathError as error:
        found = _MEANT.fullmatch(error.hint or "")
        return path if found is None else found[1]
    return path


_MEANT: Final = re.compile(r"did you mean `(.+)`\?")


def _check_field(root: str, part: Part, text: str, offset: int) -> None:
    if root not in FIELDS:
        return
    fields = FIELDS[root]
    if not isinstance(part, str):
        hint = f"its fields are {', '.join(fields)}; e.g. {root}.properties"
        raise PathError(f"`{root}` has named fields only", offset, hint)
    if part not in fields:
        other = OTHER_NAMES.get(part)
        close = other if other in fields else did_you_mean(part, fields)
        meant = f"{root}.{close}" if close is not None else f"{root}.properties.{text[offset:]}"
        raise PathError(f"`{root}` has no field `{part}`", offset, f"did you mean `{meant}`?")
