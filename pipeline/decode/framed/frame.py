"""The frame that serializers of a Schema Registry put around a record, and what is none.

    00 | id, 4 bytes | the record                         Confluent's, and everybody's who speaks its API
    header __value_schema_id: 01 | GUID, 16 bytes         the same id for all registries; the value is bare

The header ``__key_schema_id`` is the key's. Other frames are refused by name.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, TypeAlias
from uuid import UUID

from pipeline.decode.raw.fields import Headers
from pipeline.model.errors import InvalidRecord

Part: TypeAlias = Literal["value", "key"]

_MAGIC: Final = 0
_GUID: Final = 1
_GLUE: Final = 3
_PREFIX: Final = 5
"""Bytes before the record."""
_APICURIO: Final = 9
_HEADERS: Final[dict[Part, str]] = {"value": "__value_schema_id", "key": "__key_schema_id"}
_APICURIO_HEADERS: Final[dict[Part, tuple[str, ...]]] = {
    part: (f"apicurio.{part}.globalId", f"apicurio.{part}.contentId", f"apicurio.{part}.artifactId")
    for part in ("value", "key")
}


class Framed(NamedTuple):
    """What a frame holds."""

    id: str
    """Of its schema: a number, or a GUID."""
    payload: bytes


def split(data: bytes, headers: Headers | None, part: Part = "value") -> Framed:
    """Return the id of a record's schema and the bytes of the record. Raises InvalidRecord."""
    if headers:
        found = _from_header(headers, part)
        if found is not None:
            return Framed(found, data)
    if data[:1] != b"\0":
        raise InvalidRecord(_stranger(data))
    if len(data) < _PREFIX:
        raise InvalidRecord(f"the {part} has {len(data)} bytes, a schema's id alone takes {_PREFIX}")
    number = int.from_bytes(data[1:_PREFIX], "big")
    if number == 0:
        told = "as in Apicurio's own frame" if len(data) >= _APICURIO else "which no registry gives"
        raise InvalidRecord(
            f"the schema's id is 0, {told}: ids of 8 bytes are not read. Let the producer write Confluent's "
            "frame (`apicurio.registry.id-handler` Legacy4ByteIdHandler, `use-id: contentId`)"
        )
    return Framed(str(number), data[_PREFIX:])


def bare(data: bytes) -> bytes | None:
    """Return the record behind an id; None where only `split` can tell: it knows the headers."""
    return data[_PREFIX:] if data[:1] == b"\0" and any(data[1:_PREFIX]) else None


def key_frame(key: bytes, headers: Headers | None) -> Framed | None:
    """Return what a key holds, None where it is in no frame: plain keys beside framed values are usual."""
    if not headers and key[:1] != b"\0":
        return None
    try:
        return split(key, headers, "key")
    except InvalidRecord:
        return None


def _from_header(headers: Headers, part: Part) -> str | None:
    wanted, apicurio = _HEADERS[part], _APICURIO_HEADERS[part]
    for name, value in headers:
        if name == wanted:
            if value is not None and len(value) == 17 and value[0] == _GUID:
                return str(UUID(bytes=value[1:]))
            if value is not None and len(value) == _PREFIX and value[0] == _MAGIC:
                return str(int.from_bytes(value[1:], "big"))
            shown = "nothing" if value is None else value[:20].hex()
            raise InvalidRecord(f"the header `{wanted}` holds {shown}: expected 01 and a GUID of 16 bytes")
        if name in apicurio:
            raise InvalidRecord(
                f"the header `{name}` is Apicurio's own frame, which is not read: let the producer write "
                "Confluent's (`apicurio.registry.headers.enabled: false`, Legacy4ByteIdHandler)"
            )
    return None


def _stranger(data: bytes) -> str:
    """Return what is to be said of bytes that are in no frame of a registry."""
    if data[:1] == b"\3" and len(data) >= 18 and data[1] in (0, 5):
        return (
            "the record is in the frame of AWS Glue (03 and a UUID), which is not read: let the producer "
            "write Confluent's frame"
        )
    if data[:2] == b"\xc3\x01":
        return "the record is Avro's single-object encoding (c3 01), which is not read"
    if data[:4] == b"Obj\1":
        return "the record is a whole Avro file; expected a record in the frame of a registry"
    if data[:1] in (b"{", b"["):
        return "the record is plain JSON, in no frame of a registry: take the frame out of its `format`"
    if not data:
        return "the record is empty: it names no schema"
    return f"the record begins with {data[:1].hex()}, not with 00 and the id of a schema"
