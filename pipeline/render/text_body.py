"""Plain text bodies, sent as they are: XML, CSV, a line of a protocol."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pipeline.language.slots import CLOSE, OPEN
from pipeline.model.errors import RenderError
from pipeline.model.json import Value
from pipeline.model.records import MISSING, Event, User
from pipeline.render.templates.foreign import warn_of_json
from pipeline.render.templates.spot import Spot, fail
from pipeline.render.templates.template import compile_text, mentions_secrets
from pipeline.render.values.printing import Failure, show, to_text, utf8

MAX_BODY: Final = 16 << 20
"""Bytes of one body."""

Bytes = Callable[[Event, User], bytes]
"""The body for one event; raises RenderError where it cannot be made."""


def compile_text_body(tree: Value, spot: Spot) -> Bytes:
    """Return the body of `encoding: text`: UTF-8, escaped only by the template's own filters.

    Missing and null print as "", unless `missing` makes them a dead letter.
    """
    if not isinstance(tree, str):
        found = "missing" if tree is None else "no text"
        hint = "write it as a block: `body: |` and the lines below it; or leave out `encoding: text`"
        spot.error("body", f"the body of `encoding: text` is {found}", hint=hint, on_key=tree is not None)
        return lambda event, user: b""
    warn_of_json(tree, spot)
    template = compile_text(tree, spot, encode=_plain) if mentions_secrets(tree) else compile_text(tree, spot)
    place, get, slots = spot.place("the body"), template.get, template.slots
    demanded = spot.missing != "null"

    def body(event: Event, user: User) -> bytes:
        try:
            value = get(event, user, None)
            if value is MISSING and demanded:
                raise RenderError(f"the whole body is left out ({place})")
            text = to_text(value)
            made = utf8(text if slots else _plain(text))
        except Exception as error:  # one dead letter, never a crash
            fail(error, place)
        if len(made) > MAX_BODY:
            raise RenderError(f"the body is larger than {MAX_BODY >> 20} MiB ({place})")
        return made

    if template.constant:
        fixed = template.value if slots else _constant(template.value, spot)
        return lambda event, user: fixed.encode()
    return body


def _plain(text: str) -> str:
    """Return the text; raises Failure where it contains a slot's control characters."""
    if OPEN in text or CLOSE in text:
        raise Failure("a text body cannot hold the control characters 01 and 02", text)
    return text


def _constant(value: Value, spot: Spot) -> str:
    try:
        return utf8(_plain(to_text(value))).decode()
    except Failure as failure:
        spot.error("body", f"{failure.reason}: {show(failure.value)}")
        return ""
