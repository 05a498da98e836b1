"""A reader's position in a record: the current element, its parents, and the message around it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from pipeline.decode.raw import strict
from pipeline.decode.raw.fields import Place
from pipeline.model.errors import InvalidRecord
from pipeline.model.json import Json
from pipeline.model.records import MISSING, Missing, topic_of
from pipeline.model.times import format_iso


class Frame:
    """One level of a record. `each` enters the next one."""

    __slots__ = ("here", "index", "key", "message", "place", "up")

    def __init__(
        self, here: Json, place: Place, up: Frame | None = None, key: Json = None, index: Json = None
    ) -> None:
        self.here = here
        self.place = place
        self.up = up
        self.key = key
        """The element's name in the object that holds it; in a list, its index."""
        self.index = index
        self.message: dict[str, Json] | None = None


Source: TypeAlias = Callable[[Json, Frame], "Json | Missing"]
"""Returns a value of ``frame.here`` (the first argument, which is read most), or MISSING. Never raises."""


def message_of(frame: Frame) -> dict[str, Json]:
    """Return `message`: key (decoded where it is an object), headers, topic, time; computed once."""
    found = frame.message
    if found is None:
        up = frame.up
        found = frame.message = _message(frame.place) if up is None else message_of(up)
    return found


def _message(place: Place) -> dict[str, Json]:
    message: dict[str, Json] = {}
    key = key_text(place)
    if key is not MISSING:
        message["key"] = _object(key)
    headers: dict[str, Json] = {}
    for name, value in place.headers or ():
        if value is not None:
            try:
                headers[name] = value.decode()
            except UnicodeDecodeError:
                pass  # not text: treated as missing
    message["headers"] = headers
    topic = topic_of(place.origin.source)
    if place.is_message or topic is not None:
        message["topic"] = topic or ""
    if place.received_at is not None:
        message["time"] = format_iso(place.received_at)
    return message


def key_text(place: Place) -> str | Missing:
    """Return the message's key as a text, without JSON's quotes; MISSING if there is none, or no text."""
    if not place.key:
        return MISSING
    try:
        text = place.key.decode()
        quoted = strict.loads(place.key) if text[0] == '"' else None
    except UnicodeDecodeError:
        return MISSING
    except InvalidRecord:
        return text
    return text if quoted is None else quoted  # type: ignore[return-value]  # a text


def _object(key: str | Missing) -> Json:
    if type(key) is str and key.startswith("{"):
        try:
            return strict.loads(key.encode())
        except InvalidRecord:
            return key
    return key  # type: ignore[return-value]  # the caller asked


def scope_of(frame: Frame) -> dict[str, Json]:
    """Return the values of all path roots, for a condition that reads more than the record."""
    scope: dict[str, Json] = {"record": frame.here, "message": message_of(frame)}
    up = frame.up
    if up is not None:
        scope["up"] = up.here
        scope["each"] = {"key": frame.key, "index": frame.index}
        if up.up is not None:
            scope["upup"] = up.up.here
    return scope
