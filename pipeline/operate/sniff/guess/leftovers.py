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
    refs = [
        ref for ref in view.columns if not ref.up and not ref.root and ref not in used and len(ref.parts) == 1
    ]
    found = {f"value_{ref.parts[0]}": ref.source() for ref in refs[:_MOST_CONTEXT]}
    return found or None


def user_object(view: View, roles: Roles, bag: Ref | None) -> Ref | None:
    """Return the object with the user's own fields that an event carries."""
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
    """Return whether an object has fields besides those read from it."""
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
