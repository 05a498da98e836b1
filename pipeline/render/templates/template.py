"""Compiles a text with ``{{ expressions }}`` and ``${SECRETS}`` to a constant, a lookup, or a function.

Text with plain paths is cut into segments here and never reaches Liquid. A value that is a single expression
keeps its type; with text around it, or with tags, it is a string.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from pipeline.language.paths import Getter, Scope
from pipeline.language.secrets import PlaceholderError, SecretRef, parse_placeholders
from pipeline.language.slots import CLOSE, OPEN, slot
from pipeline.language.work import CHARS, begin, extent, spend, spend_at
from pipeline.model.json import Value
from pipeline.model.records import MISSING, Event, Missing, User
from pipeline.render.templates.foreign import may_warn, warn_of_foreign
from pipeline.render.templates.parsing.names import (
    MAX_TEMPLATE,
    TemplateError,
    check_closed,
    compile_name,
    scan_path,
)
from pipeline.render.templates.spot import LONG_TEXT, Spot, fail, guarded
from pipeline.render.values.printing import to_text

if TYPE_CHECKING:
    from pipeline.render.templates.calls import Names
    from pipeline.render.templates.output import Encode, Literal

_SHORT: Final = 100
"""Only templates up to this length are cached."""
_FEW: Final = 100
"""Elements that are printed for free."""
_PLAIN: Final = re.compile(r"\{\{[ \t\n]*([^\W\d](?:[^{}|]*[^{}| \t\n])?)[ \t\n]*\}\}")
"""Linear in the text's length, whatever whitespace it holds."""
_ALONE: Final = re.compile(_PLAIN.pattern + r"\n*")
_INERT: Final = re.compile(rf"[^{{${OPEN}{CLOSE}]*")
"""Text without any special character."""
_PROPERTY: Final = re.compile(r"\{\{\s*(event|user)\.properties\.([\w$-]+)\s*\}\}\n*")
_WORDS: Final = frozenset(("true", "false", "nil", "null", "empty", "blank"))
_INSIDE: Final = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_UNSENT: Final = re.compile(
    r"\{%-?\s*(?:comment|capture)\b.*?\{%-?\s*end(?:comment|capture)\s*-?%\}", re.DOTALL
)
"""Text that is removed before sending."""
_OPENS: Final = re.compile(r"\{\{|\{%")


@dataclass(slots=True, frozen=True)
class Template:
    """A compiled text."""

    get: Getter
    constant: bool = False
    """True where nothing depends on the event; ``value`` is then the result."""
    value: Value = None
    typed: bool = False
    """True where it is one expression: the result keeps its type and may be MISSING."""
    lookup: tuple[str, str] | None = None
    """Root and name of a path such as `event.properties.amount`, which can be read without a call."""
    slots: bool = False
    """True where it contains secrets: the text is encoded and holds slots."""


def compile_text(
    text: str, spot: Spot, *, encode: Encode | None = None, literal: Encode | None = None
) -> Template:
    """Return the compiled text; mistakes are reported at the spot and give a constant "".

    encode: escapes values for their place; the result is then always text, never typed. Required where the
    text `mentions_secrets`, so that no value can imitate a slot. literal: escapes the text around the values
    likewise.
    """
    if literal is None and _INERT.fullmatch(text) is not None:
        if text.startswith(("event.", "user.")) or "}}" in text:
            warn_of_foreign(text, spot)
        return constant_template(text)
    if encode is None and len(text) <= _SHORT and (known := _known_path(text, spot.roots)) is not None:
        return known
    warn_of_foreign(text, spot)
    try:
        return _compile(text, spot, encode, literal)
    except TemplateError as error:
        spot.mistake("template-syntax", error)
    except PlaceholderError as error:
        spot.mistake("placeholder", error)
    except RecursionError:
        spot.error("template-syntax", "the template is nested too deeply")
    return constant_template("")


@lru_cache(maxsize=2048)
def _known_path(text: str, roots: tuple[str, ...]) -> Template | None:
    """Return the template of one path that means the same in every webhook; None for anything else.

    Most values of bodies are of this kind, and a thousand webhooks mostly use the same ones.
    """
    alone = _ALONE.fullmatch(text)
    if alone is None or "vars" in text or OPEN in text or CLOSE in text or may_warn(text):
        return None
    if not _is_path(alone.group(1)):
        return None
    try:
        get = compile_name(alone.group(1), 0, roots, {})
    except TemplateError:
        return None  # a mistake, which is reported at its place
    return Template(get, typed=True, lookup=_lookup(text))


def around(text: str) -> str:
    """Return the text around expressions and tags, without the whitespace that tags may remove."""
    outside = _INSIDE.sub("", _UNSENT.sub("", text) if "{%" in text else text)
    return "".join(outside.split()) if "{%" in text or "{{-" in text or "-}}" in text else outside


def mentions_secrets(text: str) -> bool:
    """Return whether a text contains secrets outside its expressions and tags."""
    if "$" not in text:
        return False
    try:
        check_closed(text)
        return any(isinstance(part, SecretRef) for part in parse_placeholders(_INSIDE.sub(" ", text)))
    except (PlaceholderError, TemplateError):
        return False  # compile_text reports it


def constant_template(value: Value, *, slots: bool = False) -> Template:
    """Return the template of a value that never changes."""
    return Template(lambda event, user, scope: value, constant=True, value=value, slots=slots)


def _compile(text: str, spot: Spot, encode: Encode | None, literal: Encode | None) -> Template:
    secrets = False

    def literal_text(part: str, offset: int) -> str:
        nonlocal secrets
        made = ""
        for piece in _placeholders(part, offset):
            if isinstance(piece, SecretRef) and piece.key in spot.settings:
                piece = spot.settings[piece.key]
            if isinstance(piece, str):
                made += literal(piece) if literal is not None else piece
            else:
                secrets = True
                spot.use(piece, offset + part.find("${" + piece.source + "}"))
                made += slot(piece)
        return made

    if OPEN in text or CLOSE in text:
        raise PlaceholderError("the text holds a control character", text.find(OPEN), "remove it")
    alone = _ALONE.fullmatch(text) if encode is None and len(text) <= MAX_TEMPLATE else None
    if alone is not None and _is_path(alone.group(1)):
        get = compile_name(alone.group(1), alone.start(1), spot.roots, spot.vars)
        return Template(get, typed=True, lookup=_lookup(text))
    check_closed(text)
    if _OPENS.search(text) is None:
        return constant_template(literal_text(text, 0), slots=secrets)
    segments = _plain_segments(text, spot, literal_text)
    if segments is not None:
        return Template(_joined(segments, spot.place(text), encode), slots=secrets)
    return _compile_piped(text, spot, encode, literal_text, lambda: secrets)


def _placeholders(part: str, offset: int) -> list[str | SecretRef]:
    try:
        return parse_placeholders(part)
    except PlaceholderError as error:
        raise PlaceholderError(error.message, offset + error.offset, error.hint) from None


def _plain_segments(text: str, spot: Spot, literal_text: Literal) -> list[str | Getter] | None:
    """Return literal texts and lookups, or None where the text holds more than plain paths."""
    found = list(_PLAIN.finditer(text))
    if _OPENS.search(_PLAIN.sub("", text)) is not None:
        return None
    for match in found:
        if not _is_path(match.group(1)):
            return None
    alone = len(found) == 1 and not found[0].start() and not text[found[0].end() :].rstrip("\n")
    segments: list[str | Getter] = []
    end = 0
    for match in found:
        if match.start() > end:
            segments.append(literal_text(text[end : match.start()], end))
        segments.append(compile_name(match.group(1), match.start(1), spot.roots, spot.vars))
        end = match.end()
    if end < len(text) and not alone:
        segments.append(literal_text(text[end:], end))
    return segments


def _is_path(text: str) -> bool:
    try:
        return text not in _WORDS and scan_path(text, 0) == len(text)
    except TemplateError:
        return False  # Liquid's parser reports it, with its place


def _lookup(text: str) -> tuple[str, str] | None:
    found = _PROPERTY.fullmatch(text)
    return (found.group(1), found.group(2)) if found is not None else None


def _printed(value: Value | Missing, event: Event, user: User) -> str:
    """Return a value as text. A long list or object costs work each time it is printed."""
    if (type(value) is list or type(value) is dict) and len(value) > _FEW:
        spend(event, user, extent(value))
    return to_text(value)


def _joined(segments: list[str | Getter], place: str, encode: Encode | None) -> Getter:
    """Return the function that writes the segments in order."""
    lookups = [segment for segment in segments if not isinstance(segment, str)]
    if len(lookups) == 1 and encode is None:
        at = segments.index(lookups[0])
        before, after = "".join(map(str, segments[:at])), "".join(map(str, segments[at + 1 :]))
        get = lookups[0]

        def around(event: Event, user: User, scope: Scope) -> str:
            value = get(event, user, scope)
            if type(value) is not str:
                try:
                    value = _printed(value, event, user)
                except Exception as failure:  # one dead letter, never a crash
                    fail(failure, place)
            if len(value) > LONG_TEXT:
                spend_at(place, event, user, len(value) // CHARS)
            return before + value + after

        return around
    parts = [(segment, None) if isinstance(segment, str) else ("", segment) for segment in segments]

    def joined(event: Event, user: User, scope: Scope) -> str:
        texts, size = [], 0
        try:
            for text, get in parts:
                if get is None:
                    texts.append(text)
                    continue
                value = get(event, user, scope)
                made = value if type(value) is str else _printed(value, event, user)
                size += len(made)
                if size > LONG_TEXT:
                    spend(event, user, len(made) // CHARS)
                texts.append(made if encode is None else encode(made))
        except Exception as failure:  # one dead letter, never a crash
            fail(failure, place)
        return "".join(texts)

    return joined


def _compile_piped(
    text: str, spot: Spot, encode: Encode | None, literal: Literal, secrets: Callable[[], bool]
) -> Template:
    # Imported here: configs with plain paths do not need it.
    from pipeline.render.templates.calls import NO_EVENT, NO_USER, Names
    from pipeline.render.templates.piped import Piped, compile_piped, read

    def warn(message: str, offset: int, hint: str) -> None:
        spot.warn("template", message, hint=hint, offset=offset)

    def refuse(error: TemplateError) -> None:
        spot.refuse(
            "template-syntax", error.message, hint=error.hint, offset=error.offset, length=error.length
        )

    names = Names(spot.roots, spot.vars, text, warn=warn, refuse=refuse)
    begin(NO_EVENT, NO_USER)  # for its constant parts, which are evaluated here
    parts = read(text)
    if parts is None:
        return _compile_liquid(text, spot, encode, literal, secrets, names)
    bare = parts if text == _bare(text) else read(_bare(text))
    if bare is not None and len(bare) == 1 and isinstance(bare[0][1], Piped) and encode is None:
        return _typed(bare[0][1].compile(names), spot, text)
    get = compile_piped(parts, names, encode, literal)
    return Template(guarded(get, spot.place(text)), slots=secrets())


def _bare(text: str) -> str:
    """Return a text without the line ends after its last expression."""
    bare = text.rstrip("\n")
    return bare if bare.endswith("}}") else text


def _typed(get: Getter, spot: Spot, text: str) -> Template:
    """Return the template of a single expression, whose value keeps its type."""
    from pipeline.render.templates.applying import known

    if known(get) and get.value is not MISSING:
        return constant_template(get.value)
    return Template(guarded(get, spot.place(text)), typed=True)


def _compile_liquid(
    text: str,
    spot: Spot,
    encode: Encode | None,
    literal: Literal,
    secrets: Callable[[], bool],
    names: Names,
) -> Template:
    # Imported here: python-liquid takes 0.1 s to load, and configs of paths with filters do not need it.
    from liquid.builtin.output import OutputNode

    from pipeline.render.templates.expressions import compile_expression
    from pipeline.render.templates.parsing.liquid import parse
    from pipeline.render.templates.statements import Writing, compile_statements

    bare = _bare(text)
    nodes = parse(bare)
    if len(nodes) == 1 and isinstance(nodes[0], OutputNode) and encode is None:
        return _typed(compile_expression(nodes[0].expression, names), spot, text)
    nodes = nodes if bare == text else parse(text)
    get = compile_statements(nodes, Writing(names, encode, literal), text)
    return Template(guarded(get, spot.place(text)), slots=secrets())
