"""Splits a stream into kinds of records by the value of one field, as `when` expresses it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from pipeline.operate.sniff.guess.bags import bag_of, tells_of_users
from pipeline.operate.sniff.guess.fields import Ref, View
from pipeline.operate.sniff.guess.roles import Roles, find_roles
from pipeline.operate.sniff.guess.words import TRAITS, USERS, bare, has_id_name

Kind = Literal["event", "user", "link", "delete", "ignore"]

_MOST_VALUES: Final = 24
_TELLING: Final = frozenset(
    {
        "kind", "type", "recordtype", "entity", "entitytype", "table", "tablename", "object",
        "objecttype", "category", "op", "operation", "action", "t", "class", "cls", "stream", "topic",
        "model", "collection", "rt", "what", "event", "eventtype", "event_type", "msgtype", "messagetype",
        "typ", "art", "source", "name", "evt", "verb", "schema", "eventname", "rectype", "k", "record",
        "doctype",
    }
)  # fmt: skip
_PROFILE: Final = re.compile(
    r"(?:(?:set|update|save|upsert|sync)?(?:user|customer|contact|account|member|person|people|player|subscriber|kunde)s?"
    r"(?:profile|data|properties|attributes|details)?(?:update[sd]?|changed?|saved?|set|upsert(?:ed)?|synced|snapshot|row)?"
    r"|(?:set|update)?(?:profile|traits|attributes|userproperties)s?(?:update[sd]?|changed?|set|saved?)?"
    r"|people(?:set|update)?|crm)"
)
_DELETED: Final = re.compile(
    r"(?:user|customer|contact|account|profile|member|person|player)s?(?:delete[sd]?|remove[sd]?|erase[sd]?|gone|forgotten|purged)"
    r"|delete(?:user|customer|contact|account|profile|member|person)|gdprdelete|forgetuser|erasure"
)
_LINKS: Final = frozenset(
    {
        "login", "loggedin", "userloggedin", "signin", "signedin", "usersignedin", "identify",
        "identified", "useridentified", "alias", "merge", "link", "linked", "userlinked", "identity",
        "deviceLinked", "devicelinked", "signup", "signedup", "usersignedup", "register", "registered",
        "userregistered", "accountcreated", "anmeldung", "userlogin",
    }
)  # fmt: skip
_ROW_SET: Final = frozenset(
    {"insert", "update", "upsert", "create", "replace", "read", "snapshot", "c", "u", "r", "i"}
)
_ROW_GONE: Final = frozenset({"delete", "remove", "d", "del"})
_IDLE: Final = re.compile(r"(?:heartbeat|ping|keepalive|noop|healthcheck|health|test|debug)s?|hb")


@dataclass(slots=True)
class FieldGroup:
    """The rows of one kind."""

    kind: Kind
    view: View
    by: Ref | None = None
    """The field that identifies them; None for the rest."""
    values: tuple[str, ...] = ()
    names: Sequence[Ref] = ()
    """Places of their events' names."""
    under: Ref | None = None
    """The object that only they have: it is named after them, and holds their data."""


def split(view: View, roles: Roles) -> list[FieldGroup]:
    """Return the groups of a view, those identified by a field first, the rest last."""
    if not roles.is_sure_of_name and (found := _one_of(view)):
        return found
    for by in _telling(view, roles):
        kinds: dict[str, Kind] = {}
        at: dict[str, list[int]] = {}
        rest: list[int] = []
        for number, row in enumerate(view.rows):
            value = row.get(by)
            if type(value) is str and value and "${" not in value and "{{" not in value:
                at.setdefault(value, []).append(number)
            else:
                rest.append(number)
        is_rows = {bare(value) for value in at} <= _ROW_SET | _ROW_GONE | {"heartbeat", "truncate", "t"}
        for value, numbers in at.items():
            kinds[value] = _kind(bare(value), view.part(numbers), by, roles, is_rows)
        if all(kind == "event" for kind in kinds.values()):
            continue
        groups = [
            FieldGroup(
                kind,
                view.part(sorted(number for value in values for number in at[value])),
                by,
                values,
                _names(by, roles),
            )
            for kind in ("delete", "user", "link", "ignore")
            if (values := tuple(value for value in at if kinds[value] == kind))
        ]
        events = sorted([*rest, *(one for value in at if kinds[value] == "event" for one in at[value])])
        if events:
            groups.append(FieldGroup("event", view.part(events), names=_names(by, roles)))
        return groups
    return [FieldGroup("event", view, names=roles.names)]


def gone_rows(view: View) -> tuple[Ref, tuple[str, ...], View] | None:
    """Return the deleted rows of a table: the field, its value there, the rows.

    None where no row is deleted, or all are.
    """
    for ref, values in view.columns.items():
        said = {one for one in values if type(one) is str}
        gone = tuple(sorted(one for one in said if bare(one) in _ROW_GONE))
        if ref.last not in _TELLING or ref.depth > 2 or ref.up or not gone or len(gone) == len(said):
            continue
        if {bare(one) for one in said} <= _ROW_SET | _ROW_GONE and len(values) == len(view.rows):
            return ref, gone, view.part([at for at, row in enumerate(view.rows) if row.get(ref) in gone])
    return None


def _one_of(view: View) -> list[FieldGroup]:
    """Return a group for each of several objects of which every record has one, as of protobuf's `oneof`."""
    some = [
        ref
        for ref, values in view.columns.items()
        if len(ref.parts) == 1 and ref.is_own and ref.inside is None
        and len(values) < len(view.rows) and all(type(one) is dict for one in values)
    ]  # fmt: skip
    at: dict[Ref, list[int]] = {}
    for number, row in enumerate(view.rows):
        has = [ref for ref in some if row.get(ref) is not None]
        if len(has) != 1:
            return []
        at.setdefault(has[0], []).append(number)
    if not 2 <= len(at) <= _MOST_VALUES // 2:
        return []
    return [FieldGroup("event", view.part(numbers), under=ref) for ref, numbers in at.items()]


def _names(by: Ref, roles: Roles) -> list[Ref]:
    return [*roles.names, *([] if by in roles.names else [by])]


def _telling(view: View, roles: Roles) -> list[Ref]:
    """Return the fields that may distinguish kinds, those that are not event names first."""
    found = []
    for ref, values in view.columns.items():
        if ref.last not in _TELLING or ref.depth > 2 or ref.up or ref.inside is not None:
            continue
        if len(values) * 10 < len(view.rows) * 9 or not all(
            type(one) is str and one.isprintable() and len(one) < 60 for one in values
        ):
            continue
        distinct = len({str(one) for one in values})
        if distinct <= _MOST_VALUES and (distinct < len(values) or distinct <= 8):
            found.append((ref in roles.names[:1], ref.depth, distinct, ref))
    found.sort(key=lambda one: one[:3])
    return [one[3] for one in found]


def _kind(value: str, part: View, by: Ref, roles: Roles, is_rows: bool) -> Kind:
    """Return what kind of rows have this value."""
    own = find_roles(part)
    has_user = bool(own.users)
    if has_user and (_DELETED.fullmatch(value) or (is_rows and value in _ROW_GONE)):
        return "delete"
    if not own.ids and not roles.ids:
        return "event"
    if _IDLE.fullmatch(value) and not _has(part, roles.names, by):
        return "ignore"
    if not own.ids:
        # A row that says slightly more becomes a dead letter: its id may just have an unusual name.
        return "ignore" if len([ref for ref in part.columns if ref != own.time_ref]) <= 2 else "event"
    is_said = _PROFILE.fullmatch(value) and (value not in USERS or not _has(part, roles.names, by))
    is_shown = by not in roles.names[:1] or bag_of(part, TRAITS) is not None or tells_of_users(part)
    if has_user and is_said and is_shown:
        return "user"
    if is_rows and value in _ROW_SET and has_user and (tells_of_users(part) or _is_of_user(part, own)):
        return "user"
    if value in _LINKS and own.users and own.anonymous and _both(part, own):
        return "link"
    return "event"


def _is_of_user(part: View, own: Roles) -> bool:
    """Return whether the rows are those of a users table: the user's id is the only id."""
    (first, *_) = own.users
    beside = [ref for ref in part.columns if ref.parts[:-1] == first.parts[:-1] and len(first.parts) > 1]
    return bool(beside) and not any(ref != first and has_id_name(ref.last) for ref in beside)


def _has(part: View, names: Sequence[Ref], by: Ref) -> bool:
    """Return whether the rows have a name other than the field that identifies them."""
    others = [ref for ref in names if ref != by]
    return sum(any(row.get(ref) for ref in others) for row in part.rows) * 2 >= len(part.rows)


def _both(part: View, own: Roles) -> bool:
    held = sum(
        any(row.get(u) for u in own.users) and any(row.get(a) for a in own.anonymous) for row in part.rows
    )
    return held * 5 >= len(part.rows) * 4
