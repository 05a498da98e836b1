"""Values missing from a Debezium record: PostgreSQL stores long values elsewhere and logs only changed ones.

The placeholder depends on the type (as written by PostgreSQL 15 and Debezium 3.6: tests/cdc). It cannot be
recognised where it is null, as for long numerics and arrays of floats, booleans and times, nor where a
column's real value equals it. REPLICA IDENTITY FULL makes every value available.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Final
from uuid import UUID

from pipeline.model.json import Json

TEXT: Final = "__debezium_unavailable_value"
_BYTES: Final = TEXT.encode()
_PAIR: Final = {TEXT: TEXT}
_TEXTS: Final = frozenset(
    {
        TEXT,
        base64.b64encode(_BYTES).decode(),
        base64.urlsafe_b64encode(_BYTES).decode(),
        _BYTES.hex(),
        f'{{"{TEXT}":"{TEXT}"}}',
    }
)
_NUMBERS: Final = [*_BYTES]
_UUIDS: Final = [str(UUID(bytes=hashlib.md5(_BYTES, usedforsecurity=False).digest(), version=3))]


def is_unavailable(value: Json) -> bool:
    """Return whether a value is a placeholder for one that was not read."""
    kind = type(value)
    if kind is str:
        return value in _TEXTS
    if kind is list:
        assert isinstance(value, list)
        if len(value) == 1:
            return value == _UUIDS or (type(value[0]) is str and value[0] in _TEXTS)
        return value == _NUMBERS
    return kind is dict and value == _PAIR
