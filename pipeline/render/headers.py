"""Request headers: names are checked at load, values are checked when they are known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pipeline.language.headers import NAME, is_reserved
from pipeline.language.paths import Getter, Scope
from pipeline.language.slots import Headers, header_safe, without_slots
from pipeline.model.errors import RenderError
from pipeline.model.json import Value
from pipeline.model.records import MISSING, Event, User
from pipeline.render.templates.spot import Spot, guarded
from pipeline.render.templates.template import around, compile_text, mentions_secrets
from pipeline.render.values.printing import Failure, to_text

_ASCII: Final = "a header can hold printable ASCII only"
_REMEDY: Final = "a line end, or a letter such as ü, cannot be sent in a header"
_LIMIT: Final = 8_192
"""Maximum length of one value: what common servers accept of a header line."""


def compile_headers(headers: Mapping[str, str], spot: Spot, extra: Headers) -> tuple[Headers | None, Getter]:
    """Return the headers if all are constant (else None), and the function that returns them.

    extra: headers added unless the webhook sets them itself. A header whose value is entirely missing or null
    is omitted.
    """
    seen: dict[str, str] = {}
    parts: list[tuple[str, str | None, Getter]] = []
    for name, value in headers.items():
        here, lowered = spot.at(name), name.lower()
        if not NAME.fullmatch(name):
            here.error("header-name", f"`{name}` is no header name", on_key=True)
        elif is_reserved(name):
            here.error("header-reserved", f"the header `{name}` is set by the sender", on_key=True)
        elif lowered in seen:
            here.error("header-name", f"`{name}` and `{seen[lowered]}` are the same header", on_key=True)
        seen[lowered] = name
        constant, get = _value(value, here)
        parts.append((name, constant, get))
    parts += [(name, value, _fixed(value)) for name, value in extra if name not in seen]

    def all_headers(event: Event, user: User, scope: Scope) -> Headers:
        made: list[tuple[str, str]] = []
        for name, constant, get in parts:
            text: Any = get(event, user, scope) if constant is None else constant
            if text is not None:
                made.append((name, text))
        return tuple(made)

    if all(constant is not None for _, constant, _ in parts):
        return tuple((name, constant) for name, constant, _ in parts if constant is not None), all_headers
    return None, all_headers


def _fixed(value: str) -> Getter:
    return lambda event, user, scope: value


def _checked(text: str) -> str:
    if not header_safe(text):
        raise Failure(_ASCII, text)
    if len(text) > _LIMIT:
        raise Failure(f"a header can hold {_LIMIT:,} characters only", text)
    return text


def _value(value: str, spot: Spot) -> tuple[str | None, Getter]:
    """Return the value if it is constant, and the function that returns it (None: omit the header)."""
    text = value.strip()
    if mentions_secrets(text):
        template = compile_text(text, spot, encode=_checked)
    else:
        template = compile_text(text, spot)
    if template.constant:
        return _constant(template.value, spot, template.slots)
    if not header_safe(around(text)):
        spot.refuse("header-value", _ASCII, hint=_REMEDY)
    get = template.get
    demanded = spot.missing == "dead_letter"
    place = spot.place(text)

    def checked(event: Event, user: User, scope: Scope) -> str | None:
        found = get(event, user, scope)
        if found is None or found is MISSING:
            if demanded:
                raise RenderError(f"required value is missing ({place})")
            return None
        return str(found) if template.slots else _checked(to_text(found)).strip()

    return None, guarded(checked, place)


def _constant(value: Value, spot: Spot, slots: bool) -> tuple[str, Getter]:
    text = to_text(value)
    if slots and not header_safe(without_slots(text)):
        spot.refuse("header-value", _ASCII, hint=_REMEDY)
    elif not slots and not header_safe(text):
        spot.error("header-value", _ASCII, hint=_REMEDY)
        text = ""
    return text, _fixed(text)
