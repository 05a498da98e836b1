"""Records in the frame of a Schema Registry, which another shape then reads as the JSON that they are."""

from __future__ import annotations

from dataclasses import replace

from pipeline.decode.fields import Place
from pipeline.decode.framed.framing import Frame
from pipeline.decode.shape import Seen, Shape
from pipeline.model.json import Json


def framed(frame: Frame, then: Shape) -> Shape:
    """Return the shape of records in a frame that another shape reads."""

    def parse(raw: bytes, place: Place) -> Json:
        place.key = frame.key(place.key, place.headers)
        return frame.value(raw, place.headers)

    def peek(line: bytes, place: Place) -> Seen:
        # A framed record is a message: what orders it is the broker's time, unless its shape says more.
        text = b"" if then.peek is None else frame.text(line, place.headers)
        return then.peek(text, place) if text and then.peek else (place.received_at, then.side == "users")

    return replace(
        then, name=frame.kind, parse=parse, glance=None, look=None, plain=None, peek=peek, frame=frame
    )
