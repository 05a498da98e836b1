"""Message keys as Kafka Connect writes them: a struct of columns, or a bare value."""

from __future__ import annotations

from pipeline.decode.framed.connect_values import parse, unwrap
from pipeline.decode.raw import fields
from pipeline.decode.raw.fields import Fields, Place
from pipeline.model.errors import InvalidRecord
from pipeline.model.records import PropertyUpdate


def columns_of(place: Place) -> Fields | None:
    """Return the columns of the message's key, with a bare value as column ""; None without a key.

    Raises InvalidRecord.
    """
    raw = place.key
    if not raw or raw.startswith(b"\0"):
        return None  # framed for a schema registry: not text
    if raw.startswith(b"Struct{"):
        raise InvalidRecord(
            f"the message's key is {raw[:60].decode('utf-8', 'replace')!r}: set `key.converter` to "
            "org.apache.kafka.connect.json.JsonConverter, StringConverter does not write the columns apart"
        )
    if raw == b"null":
        return None
    try:
        # A number is its own text, and a text of StringConverter is none: 12e5, 1.50.
        value, schema = unwrap(parse(raw, place) if raw[:1] in b'{["' else raw.decode())
        value = value if schema is None else schema.converted(value)
    except UnicodeDecodeError:
        raise InvalidRecord("the message's key is neither JSON nor text") from None
    return value if type(value) is dict else {"": value}


def user_id(names: tuple[str, ...], row: Fields, key: Fields | None) -> str:
    """Return the user id of the row, several columns joined by ``:``. Raises InvalidRecord.

    names: the columns of the id; none: the only column of the message's key.
    """
    if not names:
        if key is None:
            raise InvalidRecord("the message has no key: say by `key` which column is the user's id")
        if len(key) != 1:
            columns = ", ".join(f"`{name:.40}`" for name in key)
            raise InvalidRecord(
                f"the message's key has the columns {columns}: say by `key` which of them name the user"
            )
        names = tuple(key)
    parts = []
    for name in names:
        found = key if key is not None and row.get(name) is None else row
        if len(names) == 1 and name not in found and "" in found:
            found = {name: found[""]}
        part = fields.text_id(found, name)
        if part is None:
            raise InvalidRecord(
                f"the column `{name}`, which names the user, is in neither row nor key: of a deleted row "
                "PostgreSQL logs the key alone (ALTER TABLE .. REPLICA IDENTITY FULL logs all of it)"
            )
        parts.append(part)
    return ":".join(parts)


def deletion(user_id: str, at: int | None, place: Place) -> PropertyUpdate:
    """Return the update that forgets a user; at: when that was committed (ms), if known."""
    received = place.received_at
    when = received if at is None else at
    return PropertyUpdate(None, user_id, None, when, received, None, {}, {}, (), place.origin, delete=True)


def forgotten(place: Place, names: tuple[str, ...]) -> PropertyUpdate:
    """Return the deletion for a message without a value. Raises InvalidRecord."""
    key = columns_of(place)
    if key is None:
        what = "whose key is framed for a schema registry" if place.key else "without a key"
        raise InvalidRecord(f"a tombstone {what} says nobody's name")
    return deletion(user_id(names, {}, key), None, place)
