"""CloudEvents 1.0: structured JSON, and binary mode in Kafka headers (``ce_*``). 0.3 is read the same way.

``type`` is the event's name; ``id``, ``time`` and ``source`` are the event's own. source + id together
identify it (the specification requires producers to keep them unique). ``data`` holds the properties (data
that is not an object becomes the property ``data``; bytes ``data_base64``). The user id is ``user_id`` or
``userId`` in the data, else the extension ``userid``, else ``subject``; the anonymous id is ``anonymous_id``
or ``anonymousId`` in the data, else the extension ``anonymousid``. An event without either belongs to its
``source``, as to an anonymous id: a machine can have events, too. Other attributes are the event's context.
"""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Callable, Sequence

from pipeline.decode.raw import fields, strict
from pipeline.decode.raw.fields import Fields, Place
from pipeline.model.charsets import NotInCharset, in_utf8
from pipeline.model.errors import InvalidRecord
from pipeline.model.json import Json, kind_of
from pipeline.model.records import Event, Record

VERSIONS = frozenset({"1.0", "0.3"})
_STRUCTURED = b"application/cloudevents"

_OURS = frozenset(
    {"specversion", "id", "type", "source", "time", "subject", "data", "data_base64", "datacontentencoding"}
)


def read(record: Fields, place: Place) -> list[Record]:
    """Return the event of one structured object. Raises InvalidRecord."""
    data = record.get("data")
    packed = record.get("data_base64")
    if packed is None and record.get("datacontentencoding") == "base64":
        packed, data = data, None
    if packed is not None:
        data = _unpack(packed, record.get("datacontenttype"))
    return [_event(record, data, place)]


def fits(record: Fields) -> bool:
    """Return whether the object is a CloudEvent in structured mode."""
    return "specversion" in record


_OTHERS = frozenset({"user_id", "anonymous_id", "userId", "anonymousId", "distinct_id", "app_id"})


def is_sure(record: Fields) -> bool:
    """Return whether the object is an event in structured mode, whatever its ``type``: the other shapes' ids
    are not valid attribute names.
    """
    return "specversion" in record and _OTHERS.isdisjoint(record)


def is_binary(headers: Sequence[tuple[str, bytes | None]]) -> bool:
    """Return True where the headers say that the message is a CloudEvent in binary mode.

    Where the content type is that of an event itself, its attributes may be in headers too (as a copy for
    those who route it): it is in structured mode (Kafka binding 3).
    """
    return any(name == "ce_specversion" for name, _ in headers) and not any(
        name.lower() == "content-type" and text is not None and text.lower().startswith(_STRUCTURED)
        for name, text in headers
    )


def read_binary(
    value: bytes | None,
    headers: Sequence[tuple[str, bytes | None]],
    place: Place,
    unframe: Callable[[bytes, Place], Json] | None = None,
) -> list[Record]:
    """Return the event of a message in binary mode. Raises InvalidRecord.

    unframe: returns the data in the frame of a schema registry; None: they are as the content type says.
    """
    attributes: Fields = {}
    content_type = None
    for name, text in headers:
        if text is None:
            continue
        if name.startswith("ce_"):
            attributes[name[3:]] = _header(name, text)
        elif name.lower() == "content-type":
            content_type = _header(name, text)
    if content_type is not None:  # the attribute's own place; some write it beside as `ce_datacontenttype`
        attributes["datacontenttype"] = content_type
    data: Json = None
    if value and unframe is not None:
        data = unframe(value, place)
    elif value:
        data = _payload(value, attributes.get("datacontenttype"))
    return [_event(attributes, data, place)]


def _header(name: str, text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError:
        raise InvalidRecord(f"the header `{name}` is not UTF-8") from None


def _event(record: Fields, data: Json, place: Place) -> Event:
    version = record.get("specversion")
    if type(version) is not str or version not in VERSIONS:
        if version is None:
            is_native = record.get("type") in ("event", "user", "identify")
            ours = ": Hookline's own are `format: native`, over HTTP POST /v1/events" if is_native else ""
            raise InvalidRecord(f"this is no CloudEvent, it has no `specversion`{ours}")
        raise InvalidRecord(f"`specversion` is {version!r:.40}, expected the text '1.0' (or '0.3')")
    name = fields.text(record, "type")
    if name is None:
        raise InvalidRecord("the CloudEvent has no `type`")
    source = fields.text(record, "source")
    properties: Fields = data if type(data) is dict else {} if data is None else {"data": data}
    user_id = fields.text_id(properties, "user_id", "userId") or fields.text_id(record, "userid", "subject")
    anonymous_id = fields.text_id(properties, "anonymous_id", "anonymousId") or fields.text_id(
        record, "anonymousid"
    )
    if user_id is None and anonymous_id is None:
        if source is None:
            raise InvalidRecord("the CloudEvent names no user (`subject`) and no `source`")
        anonymous_id = source
    return Event(
        fields.text_id(record, "id"),
        name,
        "track",
        user_id,
        anonymous_id,
        *fields.times(record, place, "time"),
        source,
        properties,
        {key: value for key, value in record.items() if key not in _OURS},
        place.origin,
        id_scope=source,
    )


def _unpack(packed: Json, content_type: Json) -> Json:
    if type(packed) is not str:
        raise InvalidRecord(f"`data_base64` is {kind_of(packed)}, expected a text")
    try:
        value = base64.b64decode(packed, validate=True)
    except ValueError as error:
        raise InvalidRecord(f"`data_base64` is not base64: {error}") from None
    return _payload(value, content_type)


def _payload(value: bytes, content_type: Json) -> Json:
    """Return the data: JSON where the content type says so, else text, else base64.

    Without one: JSON, where it is, or begins like an object.
    """
    media = ""
    if type(content_type) is str:
        media = content_type.partition(";")[0].strip().lower()
        with contextlib.suppress(NotInCharset):  # then it is as if none were named
            value = in_utf8(value, content_type)
    if media in ("application/json", "text/json") or media.endswith("+json"):
        return strict.loads(value)
    if media == "":
        try:
            return strict.loads(value)
        except InvalidRecord:
            if value.lstrip()[:1] == b"{":
                raise
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"data_base64": base64.b64encode(value).decode()}
