"""Places the fields that are neither name, id nor time: no proposal loses one."""

from __future__ import annotations

from typing import Final

from pipeline.model.json import Value
from pipeline.operate.sniff.guess.fields import Ref, View
from pipeline.operate.sniff.guess.roles import Roles
from pipeline.operate.sniff.guess.words import CONTEXTS, USERS

_MOST_CONTEXT: Final = 8


def positions_of(view: View, roles: Roles, names: list[Ref]) -> Value:
    """Return the properties of rows that are lists: everything except name, time and id."""
    used = {*names, *roles.ids, roles.time_ref, roles.id}
    refs = [ref for ref in view.columns if ref.is_own and ref not in used and len(ref.parts) == 1]
    found = {f"value_{ref.parts[0]}": ref.source() for ref in refs[:_MOST_CONTEXT]}
    return found or None


def user_object(view: View, roles: Roles, bag: Ref | None) -> Ref | None:
    """Return the object with the user's own fields that an event carries."""
    for ref in roles.users:
        if len(ref.parts) < 2 or not ref.is_own or ref.inside is not None:
            continue
        above = Ref(ref.parts[:-1])
        if above == bag or ref.holder not in USERS:
            continue
        at = len(above.parts)
        inside = {one.parts[at] for one in view.columns if one.is_own and one.is_in(above)}
        used = {one.parts[at] for one in roles.ids if one.is_in(above)}
        if inside - used and all(type(value) is dict for value in view.columns.get(above, [])):
            return above
    return None


def context_of(view: View, roles: Roles, names: list[Ref], bag: Ref | None, holder: Ref | None) -> Value:
    """Return where the remaining fields go, so that none is lost."""
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
    kept = {None if bag is None else bag.top, None if holder is None else holder.top}
    plain = [ref for ref in view.columns if len(ref.parts) == 1 and ref.inside is None]
    others = [ref for ref in plain if ref.top is not None and ref.top not in kept]
    free = [ref for ref in others if ref.top not in read]
    shared = [ref for ref in others if ref.top in read and _holds_more(view, ref, used)]
    if bag is None:  # the free ones are properties
        return {str(ref.parts[0]): ref.source() for ref in shared[:_MOST_CONTEXT]} or None
    if not shared:
        if (
            len(free) == 1
            and free[0].last in CONTEXTS
            and all(type(one) is dict for one in view.columns[free[0]])
        ):
            return free[0].source()
        return "*" if free else None
    return {str(ref.parts[0]): ref.source() for ref in [*shared, *free][:_MOST_CONTEXT]}


def _holds_more(view: View, ref: Ref, used: list[Ref]) -> bool:
    """Return whether an object has fields besides those read from it."""
    if not any(type(value) is dict for value in view.columns[ref]):
        return False
    inside = [one for one in view.columns if one.is_in(ref) and one.up == ref.up and not one.root]
    return any(
        one not in used and not any(u.up == ref.up and u.parts[: len(one.parts)] == one.parts for u in used)
        for one in inside
    )
