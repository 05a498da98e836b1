"""Records in a Schema Registry frame, decoded to JSON and then read by another shape."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from pipeline.decode.framed.frame import bare
from pipeline.decode.framed.framing import Frame
from pipeline.decode.glance.glance import Wants, left_of_natives, names_native, read_any
from pipeline.decode.raw.fields import Place
from pipeline.decode.shape import Seen, Shape
from pipeline.model.json import Json

_NATIVE = frozenset({"auto", "native"})


def framed(frame: Frame, then: Shape) -> Shape:
    """Return the shape of framed records, which another shape reads once they are unframed."""

    def parse(raw: bytes, place: Place) -> Json:
        place.key = frame.key(place.key, place.headers)
        return frame.value(raw, place.headers)

    def peek(line: bytes, place: Place) -> Seen:
        # A framed record is a message: it is ordered by the broker's time, unless its shape says more.
        text = b"" if then.peek is None else frame.text(line, place.headers)
        return then.peek(text, place) if text and then.peek else (place.received_at, then.side == "users")

    return replace(
        then, parse=parse, glance=None, plain=None, peek=peek, frame=frame,
        look=_look(then) if frame.kind == "json_schema" else None,
    )  # fmt: skip


def _look(then: Shape) -> Callable[[bytes, Wants], bool]:
    """Return another shape's first look, behind the schema id: such JSON is not decoded first."""

    def look(line: bytes, wants: Wants) -> bool:
        text = bare(line)
        if text is None:
            return False
        if then.name in _NATIVE and names_native(text):
            return not left_of_natives([text], wants)
        if then.glance is not None:
            return then.glance(read_any(text), wants)
        return then.look is not None and then.look(text, wants)

    return look
