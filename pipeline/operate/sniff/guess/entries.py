"""Turns groups of records into the entries of a shape file, as data with comments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from pipeline.model.json import Value
from pipeline.model.printable import one_line
from pipeline.operate.sniff.guess.bags import bag_of, pairs_of, tells_of_users
from pipeline.operate.sniff.guess.fields import Ref, View
from pipeline.operate.sniff.guess.groups import FieldGroup, gone_rows, split
from pipeline.operate.sniff.guess.leftovers import context_of, positions_of, user_object
from pipeline.operate.sniff.guess.roles import Roles, find_roles
from pipeline.operate.sniff.guess.words import BAGS, TELLING_OF_USERS, TRAITS, USERS, as_user

NAMELESS: Final = "mine"
"""The name of a stream without one."""


@dataclass(slots=True)
class ShapeEntry:
    """One entry of a shape file."""

    fields: dict[str, Value] = field(default_factory=dict)
    remarks: dict[tuple[str, str], str] = field(default_factory=dict)
    """By part and field."""
    told: dict[str, Value] = field(default_factory=dict)
    """How the fields were interpreted, for JSON output."""


def entries_of(views: Sequence[View], stem: str) -> list[ShapeEntry]:
    """Return entries for records without a shape; none where nothing in them looks like an id.

    views: the records themselves, then the lists in them. stem: the name for a stream without event names.
    """
    base = views[0]
    roles = find_roles(base)
    best = base
    if roles.covered < 0.5 or not roles.is_sure_of_name:
        tried = [(found := find_roles(view), view) for view in views[1:] if view.rows]
        is_named = bool(roles.ids) and not roles.is_guess_of_id
        if is_named:
            tried = [one for one in tried if one[0].names or (one[0].time_ref and not one[0].time_ref.up)]
        tried = [one for one in tried if one[0].ids and _fills(one[1], base)]
        if tried:
            found, view = max(
                tried,
                key=lambda one: (not one[0].is_guess_of_id, one[0].covered, one[0].time_ref is not None),
            )
            is_timed = found.time_ref is not None and not found.time_ref.up
            is_better = not is_named and (not found.is_guess_of_id or not roles.ids)
            if found.covered > roles.covered or is_better or (not roles.names and is_timed):
                roles, best = found, view
    if not roles.ids:
        return []
    if best.each is not None:
        return [_event(best, roles, roles.names, stem)]
    return [
        entry
        for group in split(base, roles)
        for entry in (*_forgetting(group), _of_group(group, roles, stem))
    ]


def _fills(view: View, base: View) -> bool:
    return len(set(view.of)) * 2 >= len(base.rows)


def _forgetting(group: FieldGroup) -> list[ShapeEntry]:
    """Return the entry for rows of users that are marked deleted; none where no row is."""
    found = gone_rows(group.view) if group.kind == "user" else None
    if found is None:
        return []
    by, values, part = found
    roles = find_roles(part, of_users=True)
    if not roles.users:
        return []
    when = [{str(by.source()): _one_of(values)}]
    if group.by is not None:
        when.insert(0, {str(group.by.source()): _one_of(group.values)})
    user = _clean({"user_id": _first(roles.users), "delete": True, "time": roles.time})
    return [ShapeEntry({"when": when, "user": user})]


def _one_of(values: Sequence[str]) -> Value:
    return values[0] if len(values) == 1 else {"in": list(values)}


def _of_group(group: FieldGroup, usual: Roles, stem: str) -> ShapeEntry:
    own = find_roles(group.view)
    if group.under is not None:
        entry = _event(group.view, own, [], stem, under=group.under)
        when: Value = [{str(group.under.source()): {"exists": True}}]
        entry.fields = {"when": when, **entry.fields}
        return entry
    if not own.ids and group.kind != "ignore":
        own.users, own.anonymous = usual.users, usual.anonymous
    if group.kind == "ignore":
        entry = ShapeEntry({"ignore": True})
    elif group.kind == "delete":
        own = find_roles(group.view, of_users=True)
        entry = ShapeEntry({"user": _clean({"user_id": _first(own.users), "delete": True, "time": own.time})})
    elif group.kind == "user":
        entry = _user(group.view)
    else:
        names = list(own.names) if own.is_sure_of_name else []
        for ref in group.names:
            if ref not in names and not _all_have(group.view, names) and _is_in(group.view, ref):
                names.append(ref)
        is_user = tells_of_users(group.view) and not _is_about_something(group.view, own)
        is_user = is_user or _is_all_told(group.view, own)
        if is_user and _is_of_person(group.view, own, names):
            names = []
        if not names and own.users and is_user:
            entry = _user(group.view)
        else:
            entry = _event(group.view, own, names or own.names, stem)
        if group.kind == "link" and "event" in entry.fields:
            link = {"anonymous_id": _first(own.anonymous), "user_id": _first(own.users)}
            entry.fields = {"link": link, **entry.fields}
    if group.by is not None:
        entry.fields = {"when": [{str(group.by.source()): _one_of(group.values)}], **entry.fields}
        entry.told["told_by"] = group.by.source()
    if group.kind == "ignore":
        entry.remarks["", "ignore"] = "they name nobody"
    return entry


def _is_of_person(view: View, roles: Roles, names: Sequence[Ref]) -> bool:
    """Return whether a supposed event name is really a person's name: each user has a different one."""
    if len(names) != 1 or names[0].last != "name" or not roles.users:
        return False
    told = {ref.last for ref in view.columns if not ref.up} & (TELLING_OF_USERS - {"name"})
    if not told & {"email", "mail"} and len(told) < (1 if roles.time_ref is None else 2):
        return False
    of: dict[str, set[str]] = {}
    for row in view.rows:
        of.setdefault(str(row.get(roles.users[0])), set()).add(str(row.get(names[0])))
    called = set().union(*of.values())
    return len(of) > 1 and len(called) == len(of) and all(len(one) == 1 for one in of.values())


def _is_all_told(view: View, roles: Roles) -> bool:
    """Return whether records say who, perhaps when, and what has changed, and nothing else."""
    bag = bag_of(view, TRAITS)
    known = {bag, roles.time_ref, *roles.users}
    return (
        bag is not None
        and bag.last in ("changes", "changed", "attributes", "traits", "fields")
        and {ref for ref in view.columns if len(ref.parts) == 1 and not ref.root} <= known
    )


def _is_about_something(view: View, roles: Roles) -> bool:
    """Return whether a user is nested in records that say more than the user's properties."""
    is_nested = any(
        as_user(ref.last, ref.holder) >= 90 and ref.holder in USERS
        for ref in view.columns
        if len(ref.parts) > 1 and ref.is_own
    )
    known = (roles.time_ref, *roles.users)
    tops = [(ref, values[0]) for ref, values in view.columns.items() if len(ref.parts) == 1]
    beside = [ref for ref, value in tops if type(value) is not dict]
    return is_nested and sum(ref not in known and ref.last not in TELLING_OF_USERS for ref in beside) > 1


def _all_have(view: View, refs: Sequence[Ref]) -> bool:
    return all(any(row.get(ref) not in (None, "") for ref in refs) for row in view.rows)


def _is_in(view: View, ref: Ref) -> bool:
    return any(row.get(ref) not in (None, "") for row in view.rows)


def _user(view: View) -> ShapeEntry:
    roles, bag = find_roles(view, of_users=True), bag_of(view, TRAITS)
    part = {
        "user_id": _first(roles.users),
        "anonymous_id": None if roles.users else _first(roles.anonymous),
        "time": roles.time,
        "set": "*" if bag is None else bag.source(),
    }
    entry = ShapeEntry({"user": _clean(part)})
    _remark(entry, "user", roles)
    _tell(entry, roles, [])
    return entry


def _event(view: View, roles: Roles, names: Sequence[Ref], stem: str, under: Ref | None = None) -> ShapeEntry:
    """Return the entry of an event. under: the object that is named after the event, and holds its data."""
    bag = under or bag_of(view, BAGS)
    if bag is None and names and names[0].is_own:
        # The object that holds the name also holds the event's data.
        above = names[0].above
        if above.parts or above.inside is not None:
            bag = above
    entry = ShapeEntry()
    name: Value = _first(names)
    if under is not None:
        name = {"text": str(under.parts[0])}
    elif name is None:
        name = {"text": _title(view.called or stem)}
        entry.remarks["event", "name"] = "no field looks like a name: call it as you like"
    else:
        guessed = "" if roles.is_sure_of_name else "a guess: "
        entry.remarks["event", "name"] = guessed + _examples(view, names)
    holder = user_object(view, roles, bag)
    part: dict[str, Value] = {
        "each": view.each,
        "name": name,
        "user_id": _user_id(roles),
        "anonymous_id": _first(roles.anonymous),
        "id": None if roles.id is None else roles.id.source(),
        "time": roles.time,
        "properties": (pairs_of(view) or "*") if bag is None else bag.source(),
        "context": context_of(view, roles, list(names), bag, holder),
    }
    if bag is None and any(
        type(next(iter(row.values()), None)) is not dict and Ref((0,)) in row for row in view.rows
    ):
        part["properties"] = positions_of(view, roles, list(names))
    entry.fields = {"event": _clean(part)}
    if holder is not None and view.each is None:
        entry.fields["user"] = {"user_id": _user_id(roles), "set": holder.source()}
    _remark(entry, "event", roles)
    _tell(entry, roles, names)
    return entry


def _user_id(roles: Roles) -> Value:
    found = _first(roles.users)
    if len(roles.users) == 1 and roles.users[0].last in ("email", "mail", "emailaddress", "useremail"):
        return {**(found if isinstance(found, dict) else {"path": found}), "lower": True}
    return found


def _first(refs: Sequence[Ref]) -> Value:
    if not refs:
        return None
    return refs[0].source() if len(refs) == 1 else [ref.source() for ref in refs]


def _clean(part: dict[str, Value]) -> dict[str, Value]:
    return {name: value for name, value in part.items() if value is not None}


def _title(stem: str) -> str:
    if stem == NAMELESS:
        return "Something Happened"
    words = [word for word in "".join(sign if sign.isalnum() else " " for sign in stem).split() if word]
    if words and len(words[-1]) > 3 and words[-1].endswith("s") and not words[-1].endswith("ss"):
        words[-1] = words[-1][:-1]
    return " ".join(word[:1].upper() + word[1:] for word in words)[:60] or "Something Happened"


def _examples(view: View, names: Sequence[Ref]) -> str:
    seen: dict[str, int] = {}
    for row in view.rows:
        value = next((row[ref] for ref in names if row.get(ref) not in (None, "")), None)
        if type(value) is str:
            seen[value] = seen.get(value, 0) + 1
    usual = sorted(seen, key=lambda one: -seen[one])
    shown = ", ".join(_cut(one_line(one)) for one in usual[:3])
    return shown + (f", ... ({len(usual)})" if len(usual) > 3 else "")


def _cut(text: str) -> str:
    return text if len(text) <= 24 else f"{text[:23]}…"


def _remark(entry: ShapeEntry, part: str, roles: Roles) -> None:
    if roles.is_guess_of_id:
        entry.remarks[part, "user_id"] = "a guess, by its values: no field is called like an id"
    if roles.time is None:
        entry.remarks[part, "when"] = "no field looks like a time: the message's own counts, if it has one"
    elif roles.time_note:
        entry.remarks[part, "time"] = roles.time_note


def _tell(entry: ShapeEntry, roles: Roles, names: Sequence[Ref]) -> None:
    entry.told = _clean(
        {
            "name": _first(names),
            "user_id": _first(roles.users),
            "anonymous_id": _first(roles.anonymous),
            "id": None if roles.id is None else roles.id.source(),
            "time": roles.time,
        }
    )
