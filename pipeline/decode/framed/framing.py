"""How the records of a topic are framed: by which registry, and what a record and its key say then."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import orjson

from pipeline.decode.framed.frame import key_frame, split
from pipeline.decode.framed.schemas import SCHEMAS, Registry
from pipeline.decode.raw import strict
from pipeline.decode.raw.fields import Headers
from pipeline.model.errors import InvalidRecord
from pipeline.model.json import Json

Kind: TypeAlias = Literal["avro", "json_schema"]

KINDS: Final[tuple[Kind, ...]] = ("avro", "json_schema")
"""As `format` has them."""


@dataclass(slots=True, frozen=True)
class Frame:
    """How the records of a topic are framed."""

    kind: Kind
    registry: Registry | None = None
    """None: records say all in themselves."""

    def wanted(self, line: bytes | None, key: bytes | None, headers: Headers | None) -> list[str]:
        """Return the ids of schemas without which a record cannot be read, none where it is in no frame."""
        ids: list[str] = []
        if self.registry is None:
            return ids
        if line:
            try:
                ids.append(split(line, headers).id)
            except InvalidRecord:
                pass  # decode says so
        if key and (found := key_frame(key, headers)) is not None:
            ids.append(found.id)
        return ids

    def value(self, line: bytes, headers: Headers | None) -> Json:
        """Return what a record says. Raises InvalidRecord."""
        found = split(line, headers)
        if self.registry is None:
            try:
                return strict.loads(found.payload)
            except InvalidRecord as error:
                raise InvalidRecord(
                    f"behind the id of schema {found.id} stands no JSON ({error}); where it is Avro, set "
                    "`format: {avro: {registry: URL, then: SHAPE}}`"
                ) from None
        return SCHEMAS.read(self.registry.url, found.id, found.payload)

    def misses(self, line: bytes | None, headers: Headers | None) -> bool:
        """Return whether the schema of a record is not here yet, and have it fetched then."""
        if self.registry is None:
            return False
        missing = [id for id in self.wanted(line, None, headers) if not SCHEMAS.has(self.registry.url, id)]
        for id in missing:
            SCHEMAS.want(self.registry, id)
        return bool(missing)

    def text(self, line: bytes, headers: Headers | None) -> bytes:
        """Return a record as JSON text, b"" for one that cannot be read."""
        try:
            return orjson.dumps(self.value(line, headers))
        except (InvalidRecord, orjson.JSONEncodeError):
            return b""

    def key(self, key: bytes | None, headers: Headers | None) -> bytes | None:
        """Return a key as it would be without a frame: a text as it is, anything else as JSON.

        One that is in no frame, or cannot be read by the schema that it seems to name, stays what it is:
        numbers of 8 bytes look like frames.
        """
        framed = key_frame(key, headers) if key else None
        if framed is None:
            return key
        try:
            if self.registry is None:
                value = strict.loads(framed.payload)
            else:
                value = SCHEMAS.read(self.registry.url, framed.id, framed.payload)
        except InvalidRecord:
            return key
        return value.encode() if type(value) is str else orjson.dumps(value)
