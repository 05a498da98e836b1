"""From groups of records to the entries of a shape file, as data with remarks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from pipeline.model.json import Value
from pipeline.model.printable import one_line
from pipeline.operate.sniff.fields import Ref, View
from pipeline.operate.sniff.groups import Group, split
from pipeline.operate.sniff.roles import (
    Roles,
    find_roles,
    pairs_of,
    properties_of,
    tells_of_users,
    traits_of,
)
from pipeline.operate.sniff.words import CONTEXTS, TELLING_OF_USERS, USERS, as_user

_MOST_CONTEXT: Final = 8
NAMELESS: Final = "mine"
"""What a stream is called that has no name."""


@dataclass(slots=True)
class Entry:
    """One entry of a shape file."""

    fields: dict[str, Value] = field(default_factory=dict)
    remarks: dict[tuple[str, str], str] = field(default_factory=dict)
    """By part and field."""
    told: dict[str, Value] = field(default_factory=dict)
    """What was taken for what, for who asks in JSON."""


def entries_of(views: Sequence[View], stem: str) -> list[Entry]:
    """Return entries for records without a shape; none where nothing of them looks like an id.

    views: the records themselves, then the lists in them. stem: what a stream without names is called.
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
    return [_of_group(group, roles, stem) for group in split(base, roles)]


def _fills(view: View, base: View) -> bool:
    return len(set(view.of)) * 2 >= len(base.rows)


def _of_group(group: Group, usual: Roles, stem: str) -> Entry:
    own = find_roles(group.view)
    if not own.ids and group.kind != "ignore":
        own.users, own.anonymous = usual.users, usual.anonymous
    if group.kind == "ignore":
        entry = Entry({"ignore": True})
    elif group.kind == "delete":
        entry = Entry(
            {
                "user": _clean(
                    {"user_id": _first(own.users), "delete": _first(own.users[:1]), "time": own.time}
                )
            }
        )
    elif group.kind == "user":
        entry = _user(group.view)
    else:
        names = list(own.names) if own.is_sure_of_name else []
        for ref in group.names:
            if ref not in names and not _all_have(group.view, names) and _is_in(group.view, ref):
                names.append(ref)
        is_user = tells_of_users(group.view) and not _is_about_something(group.view, own)
        if not names and own.users and is_user:
            entry = _user(group.view)
        else:
            entry = _event(group.view, own, names or own.names, stem)
        if group.kind == "link" and "event" in entry.fields:
            link = {"anonymous_id": _first(own.anonymous), "user_id": _first(own.users)}
            entry.fields = {"link": link, **entry.fields}
    if group.by is not None:
        value: Value = group.values[0] if len(group.values) == 1 else {"in": list(group.values)}
        entry.fields = {"when": [{str(group.by.source()): value}], **entry.fields}
        entry.told["told_by"] = group.by.source()
    if group.kind == "ignore":
        entry.remarks["", "ignore"] = "they name nobody"
    return entry


def _is_about_something(view: View, roles: Roles) -> bool:
    """Return whether a user stands inside of records that say more than what is known of the user."""
    is_nested = any(
        as_user(ref.last, ref.holder) >= 90 and ref.holder in USERS
        for ref in view.columns
        if len(ref.parts) > 1 and not ref.up and not ref.root
    )
    known = (roles.time_ref, *roles.users)
    tops = [(ref, values[0]) for ref, values in view.columns.items() if len(ref.parts) == 1]
    beside = [ref for ref, value in tops if type(value) is not dict]
    return is_nested and sum(ref not in known and ref.last not in TELLING_OF_USERS for ref in beside) > 1


def _all_have(view: View, refs: Sequence[Ref]) -> bool:
    return all(any(row.get(ref) not in (None, "") for ref in refs) for row in view.rows)


def _is_in(view: View, ref: Ref) -> bool:
    return any(row.get(ref) not in (None, "") for row in view.rows)


def _user(view: View) -> Entry:
    roles, bag = find_roles(view, of_users=True), traits_of(view)
    part = {
        "user_id": _first(roles.users),
        "anonymous_id": None if roles.users else _first(roles.anonymous),
        "time": roles.time,
        "set": "*" if bag is None else bag.source(),
    }
    entry = Entry({"user": _clean(part)})
    _remark(entry, "user", roles)
    _tell(entry, roles, [])
    return entry


def _event(view: View, roles: Roles, names: Sequence[Ref], stem: str) -> Entry:
    bag = properties_of(view)
    if bag is None and names and not names[0].up and not names[0].root:
        # What holds the name holds what is told of the event.
        above = names[0].above
        if above.parts or above.inside is not None:
            bag = above
    entry = Entry()
    name: Value = _first(names)
    if name is None:
        name = {"text": _title(view.called or stem)}
        entry.remarks["event", "name"] = "no field looks like a name: call it as you like"
    else:
        entry.remarks["event", "name"] = _examples(view, names)
    holder = _user_object(view, roles, bag)
    part: dict[str, Value] = {
        "each": view.each,
        "name": name,
        "user_id": _user_id(roles),
        "anonymous_id": _first(roles.anonymous),
        "id": None if roles.id is None else roles.id.source(),
        "time": roles.time,
        "properties": (pairs_of(view) or "*") if bag is None else bag.source(),
        "context": _context(view, roles, list(names), bag, holder),
    }
    if bag is None and any(
        type(next(iter(row.values()), None)) is not dict and Ref((0,)) in row for row in view.rows
    ):
        part["properties"] = _positions(view, roles, list(names))
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


def _positions(view: View, roles: Roles, names: list[Ref]) -> Value:
    """Return the properties of rows that are lists: what is neither name nor time nor id."""
    used = {*names, *roles.ids, roles.time_ref, roles.id}
    refs = [
        ref for ref in view.columns if not ref.up and not ref.root and ref not in used and len(ref.parts) == 1
    ]
    found = {f"value_{ref.parts[0]}": ref.source() for ref in refs[:_MOST_CONTEXT]}
    return found or None


def _user_object(view: View, roles: Roles, bag: Ref | None) -> Ref | None:
    """Return the object of the user's own fields that an event brings along."""
    for ref in roles.users:
        if len(ref.parts) < 2 or ref.up or ref.root or ref.inside is not None:
            continue
        above = Ref(ref.parts[:-1])
        if above == bag or ref.holder not in USERS:
            continue
        inside = {
            one.parts[len(above.parts)]
            for one in view.columns
            if len(one.parts) > len(above.parts)
            and one.parts[: len(above.parts)] == above.parts
            and not one.up
            and not one.root
        }
        used = {
            one.parts[len(above.parts)]
            for one in roles.ids
            if one.parts[: len(above.parts)] == above.parts and len(one.parts) > len(above.parts)
        }
        if inside - used and all(type(value) is dict for value in view.columns.get(above, [])):
            return above
    return None


def _context(view: View, roles: Roles, names: list[Ref], bag: Ref | None, holder: Ref | None) -> Value:
    """Return where the fields go that are nothing else, so that none is lost."""
    used = [ref for ref in (*names, *roles.ids, roles.id, roles.time_ref) if ref is not None]
    if view.each is not None:
        tops = {ref for ref in view.columns if ref.up == 1 and len(ref.parts) == 1}
        free = [
            ref
            for ref in tops
            if ref not in used
            and (
                _holds_more(view, ref, used) or not any(u.up == 1 and u.parts[:1] == ref.parts for u in used)
            )
        ]
        simple = [ref for ref in free if all(type(one) is not list for one in view.columns[ref])]
        return {str(ref.parts[0]): ref.source() for ref in sorted(simple, key=str)[:_MOST_CONTEXT]} or None
    read = {ref.top for ref in used if ref.top is not None}
    tops_ = [
        ref
        for ref in view.columns
        if len(ref.parts) == 1
        and not ref.up
        and not ref.root
        and ref.inside is None
        and isinstance(ref.parts[0], str)
    ]
    kept = {None if bag is None else bag.top, None if holder is None else holder.top}
    free = [ref for ref in tops_ if ref.top not in read and ref.top not in kept]
    split_ = [
        ref for ref in tops_ if ref.top in read and ref.top not in kept and _holds_more(view, ref, used)
    ]
    if bag is None:  # the free ones are properties
        return {str(ref.parts[0]): ref.source() for ref in split_[:_MOST_CONTEXT]} or None
    if not split_:
        if (
            len(free) == 1
            and free[0].last in CONTEXTS
            and all(type(one) is dict for one in view.columns[free[0]])
        ):
            return free[0].source()
        return "*" if free else None
    return {str(ref.parts[0]): ref.source() for ref in [*split_, *free][:_MOST_CONTEXT]}


def _holds_more(view: View, ref: Ref, used: list[Ref]) -> bool:
    """Return whether an object has fields beside those that are read out of it."""
    if not any(type(value) is dict for value in view.columns[ref]):
        return False
    inside = [
        one
        for one in view.columns
        if one.parts[:1] == ref.parts and len(one.parts) > 1 and one.up == ref.up and not one.root
    ]
    return any(
        one not in used and not any(u.up == ref.up and u.parts[: len(one.parts)] == one.parts for u in used)
        for one in inside
    )


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
    shown = ", ".join(one_line(one)[:24] for one in usual[:3])
    return shown + (f", ... ({len(usual)})" if len(usual) > 3 else "")


def _remark(entry: Entry, part: str, roles: Roles) -> None:
    if roles.is_guess_of_id:
        entry.remarks[part, "user_id"] = "a guess, by its values: no field is called like an id"
    if roles.time is None:
        entry.remarks[part, "when"] = "no field looks like a time: the message's own counts, if it has one"
    elif roles.time_note:
        entry.remarks[part, "time"] = roles.time_note


def _tell(entry: Entry, roles: Roles, names: Sequence[Ref]) -> None:
    entry.told = _clean(
        {
            "name": _first(names),
            "user_id": _first(roles.users),
            "anonymous_id": _first(roles.anonymous),
            "id": None if roles.id is None else roles.id.source(),
            "time": roles.time,
        }
    )
