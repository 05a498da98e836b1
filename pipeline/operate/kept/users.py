"""Users as the job knows them now: their properties and their ids."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import orjson

from pipeline.join.known import Known
from pipeline.join.links import user_key
from pipeline.model.json import Json, Plain, Value
from pipeline.outbox.reading.view import rows
from pipeline.store.rows import Table, row_key

LOOK_SECS: Final = 0.5
"""How long links are searched for those that lead to a user."""
MOST_LINKS: Final = 100


@dataclass(slots=True, frozen=True)
class KnownUser(Plain):
    """What is stored about a user."""

    asked: str
    """The id that was looked up."""
    user_id: str | None
    """Its user; None for an anonymous id without a link."""
    anonymous_id: str | None
    properties: dict[str, Json] | None
    """None: nothing is stored."""
    linked_ids: list[str] = field(default_factory=list)
    """Anonymous ids, and user ids that alias calls have merged."""
    all_links: bool = True
    """False: time was up, or the limit reached; there may be others."""

    def to_json(self) -> dict[str, Value]:
        """Return the fields, and whether anything is known."""
        return {**Plain.to_json(self), "known": self.properties is not None}


def look_up(state: Path, id: str) -> KnownUser:
    """Return what is known of a user id, or of an anonymous id and its user.

    Raises StateError where no job has run yet, and for damage.
    """
    with closing(Known(state)) as known:
        merged = dict(orjson.loads(value) for _, value in known.merged())
        whose = _end(merged, id)
        found = _properties(known, user_key(whose, None))
        anonymous = None
        if found is None and whose == id:
            alias = known.get(Table.ALIASES, row_key(id))
            if alias is not None:
                whose, anonymous = _end(merged, alias.decode()), id
                found = _properties(known, user_key(whose, None))
            else:
                found = _properties(known, user_key(None, id))
                if found is not None:
                    return KnownUser(id, None, id, found)
    links = [one for one in merged if one != whose and _end(merged, one) == whose][:MOST_LINKS]
    all_links = len(links) < MOST_LINKS
    until, wanted = time.monotonic() + LOOK_SECS, whose.encode("utf-8", "surrogatepass")
    for number, (_, key, value) in enumerate(rows(state, Table.ALIASES)):
        if value == wanted:
            links.append(key.decode("utf-8", "backslashreplace"))
        if len(links) >= MOST_LINKS or (not number % 256 and time.monotonic() > until):
            all_links = False
            break
    links = [one for one in dict.fromkeys(links) if one != whose]
    return KnownUser(id, whose, anonymous, found, links, all_links)


def _end(merged: dict[str, str], id: str) -> str:
    """Follow alias calls; a cycle ends where it began."""
    seen = {id}
    while (following := merged.get(id)) is not None and following not in seen:
        id = following
        seen.add(id)
    return id


def _properties(known: Known, key: str) -> dict[str, Json] | None:
    value = known.get(Table.USERS, row_key(key))
    if value is None:
        return None
    properties: dict[str, Json] = orjson.loads(value)[1]
    return properties
