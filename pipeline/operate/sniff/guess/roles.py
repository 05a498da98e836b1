"""Which fields of a table are ids, times and names: judged by their names and values."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from pipeline.model.json import Json, Value
from pipeline.operate.sniff.guess.fields import Ref, View
from pipeline.operate.sniff.guess.times import fits_form, is_ambiguous, time_form
from pipeline.operate.sniff.guess.words import (
    TELLING_OF_USERS,
    as_anonymous,
    as_id,
    as_name,
    as_time,
    as_user,
)

_WEAK: Final = 40
"""Considered as a device's id only where there is no other id."""
_THING: Final = 56
"""Likewise where there is always a user id: something that one user uses and later another."""
_SOME: Final = 8
"""Enough records to tell whether a field is always the same, or never."""
_MOST_PATHS: Final = 3
_LIKE_AN_EVENT: Final = re.compile(
    r"[a-z]+([_.:/ -][a-z]+)+|([A-Z][a-z]+ ?){2,5}|[a-z]+([A-Z][a-z]+)+|[A-Z]+(_[A-Z]+)+"
)
_IDENTIFIER: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-fA-F]{16,}|https?://.*|.*@.*\..*|[\d.:,-]+")


@dataclass(slots=True)
class Roles:
    """The roles found. Several paths: the first one set counts."""

    names: list[Ref] = field(default_factory=list)
    users: list[Ref] = field(default_factory=list)
    anonymous: list[Ref] = field(default_factory=list)
    id: Ref | None = None
    time: Value = None
    """As a shape file has it."""
    time_ref: Ref | None = None
    time_note: str | None = None
    is_sure_of_name: bool = False
    is_guess_of_id: bool = False
    """True where only the values suggest that it is the user's id."""
    covered: float = 0.0
    """The share of the rows with a name and an id."""

    @property
    def ids(self) -> list[Ref]:
        """The paths of users and devices."""
        return [*self.users, *self.anonymous]


Weigh = Callable[[str, str], int]
Columns = dict[Ref, list[Json]]


def find_roles(view: View, *, of_users: bool = False) -> Roles:
    """Return the roles of a view's fields. of_users: its rows are users, identified by a bare `id`."""
    columns = view.columns
    roles = Roles()
    _find_time(view, roles)
    taken = {roles.time_ref}
    names = _weighed(view, as_name, _is_name, taken)
    roles.is_sure_of_name = bool(names) and names[0][0] >= 30
    if not roles.is_sure_of_name:
        names = _by_look(view, taken) or [
            (weight, ref) for weight, ref in names if ref.depth == 1 and _comes_again(columns[ref])
        ]
    roles.names = _covering(view, names)
    taken |= set(roles.names)
    users = _told_apart(_weighed(view, _as_row if of_users else as_user, _is_id, taken), columns)
    anonymous = _weighed(view, as_anonymous, _is_id, taken)
    best = {ref: weight for weight, ref in users}
    others = {ref: weight for weight, ref in anonymous}
    roles.users = _covering(view, [(w, ref) for w, ref in users if w >= others.get(ref, 0)])
    mine = [(w, ref) for w, ref in anonymous if w > best.get(ref, 0)]
    roles.anonymous = _covering(view, mine, most=1)
    if not roles.ids:
        roles.users = _covering(view, _ids_by_look(view, taken), most=1)
        roles.is_guess_of_id = bool(roles.users)
    if roles.users and roles.anonymous:
        is_always = len(_rows_with(view, roles.users)) == len(view.rows)
        if others[roles.anonymous[0]] < (_THING if is_always else _WEAK):
            roles.anonymous = []
    if not of_users:
        _settle_ids(columns, roles)
    _find_id(view, roles)
    has_name = _rows_with(view, roles.names)
    has_id = _rows_with(view, roles.ids)
    roles.covered = len(has_name & has_id) / max(1, len(view.rows))
    return roles


def _told_apart(weighed: list[tuple[float, Ref]], columns: Columns) -> list[tuple[float, Ref]]:
    """Return candidates for a user's id; last those that are constant, or different in every record.

    Users come back, and there are several: a candidate that shows this makes the others less likely.
    """

    def tells(ref: Ref) -> bool:
        values = columns[ref]
        return len(values) < _SOME or (_comes_again(values) and len({str(one) for one in values}) > 1)

    if not any(weight >= _WEAK and tells(ref) for weight, ref in weighed):
        return weighed
    apart = [(weight if tells(ref) else weight - _WEAK, ref) for weight, ref in weighed]
    return sorted((one for one in apart if one[0] > 0), key=lambda one: -one[0])


def _as_row(name: str, holder: str) -> int:
    return 90 if name in ("id", "pk", "_id") else as_user(name, holder)


def _settle_ids(columns: Columns, roles: Roles) -> None:
    """A bare `id` that differs in each record is the event's own if another field is the user's."""
    if roles.users and roles.anonymous:
        weak = [ref for ref in roles.users if as_user(ref.last, ref.holder) <= 25]
        if len(weak) == len(roles.users) and all(_is_unique(columns[ref]) for ref in weak):
            roles.users = []


def _find_id(view: View, roles: Roles) -> None:
    taken = {*roles.ids, *roles.names, roles.time_ref}
    for _, ref in _weighed(view, as_id, _is_id, taken):
        if len(view.columns[ref]) * 10 >= len(view.rows) * 9 and _is_unique(view.columns[ref]):
            roles.id = ref
            return


def _comes_again(values: Sequence[Json]) -> bool:
    return len(values) >= _SOME and not _is_unique(values)


def _is_unique(values: Sequence[Json]) -> bool:
    return len({str(one) for one in values}) * 100 >= len(values) * 98


def _find_time(view: View, roles: Roles) -> None:
    best: tuple[float, Ref, dict[str, Value]] | None = None
    for ref, values in view.columns.items():
        if type(values[0]) not in (str, int, float) or ref.depth > 4:
            continue
        weight = as_time(ref.last, ref.holder)
        if weight < 0:
            continue
        form = time_form(values)
        if form is None:
            continue
        if all(
            type(one) is str and len(one) <= 10 and "T" not in one and form != {"unit": "s"} for one in values
        ):
            weight = weight * 2 // 3  # a date: a field with the time of day is better
        if weight == 0 and not ("format" in form or type(values[0]) is str):
            weight = 6
        share = len(values) / len(view.rows)
        score = (
            (max(weight, 18 if weight != 6 else 6)) * (0.2 + 0.8 * share)
            - 2 * ref.depth
            - 4 * (ref.root != "")
        )
        if best is None or score > best[0]:
            best = score, ref, form
    if best is None:
        return
    _, ref, form = best
    clock = _clock(view.columns, ref)
    if clock is not None:
        roles.time, roles.time_ref = clock, ref
        return
    roles.time_ref = ref
    source = ref.source()
    if not form:
        roles.time = source
    else:
        roles.time = {**(source if isinstance(source, dict) else {"path": source}), **form}
    if "format" in form:
        note = (
            "" if "%z" in form["format"] or "GMT" in form["format"] else "UTC? else add `zone: Europe/Berlin`"
        )
        if is_ambiguous(form["format"], view.columns[ref]):
            note = f"days and months as you write them? {note}".strip()
        roles.time_note = note or None


def _clock(columns: Columns, day: Ref) -> Value:
    """Return how to read a date and a time of day in two fields as one; None where there are no two."""
    form = next((form for form in _DAYS if all(fits_form(one, form) for one in columns[day][:50])), None)
    for ref, values in columns.items() if form is not None else ():
        if ref.parts[:-1] == day.parts[:-1] and ref.up == day.up and ref.inside is None and ref != day:
            for hours in ("%H:%M:%S", "%H:%M"):
                if all(fits_form(one, hours) for one in values[:50]):
                    return {"join": [day.source(), ref.source()], "with": " ", "format": f"{form} {hours}"}
    return None


_DAYS: Final = ("%Y-%m-%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%Y/%m/%d", "%Y%m%d")


def _weighed(
    view: View, weigh: Weigh, fits: Callable[[Sequence[Json]], bool], taken: set[Ref | None]
) -> list[tuple[float, Ref]]:
    """Return the fields that may have a role, the best first."""
    found: list[tuple[float, Ref]] = []
    for ref, values in view.columns.items():
        weight = weigh(ref.last, ref.holder)
        if weight <= 0 or ref in taken or not fits(values):
            continue
        share = len(values) / len(view.rows)
        found.append((weight * (0.4 + 0.6 * share) - 3 * (ref.depth - 1) - 5 * (ref.root != ""), ref))
    return sorted(found, key=lambda one: (-one[0], one[1].depth, str(one[1].parts)))


def _covering(view: View, weighed: list[tuple[float, Ref]], most: int = _MOST_PATHS) -> list[Ref]:
    """Return the best field, and those that are set where it is not."""
    chosen: list[Ref] = []
    covered: set[int] = set()
    for weight, ref in weighed:
        if chosen and weight < 14:
            break
        new = _rows_with(view, [ref]) - covered
        if new and (not chosen or len(new) * 50 >= len(view.rows)):
            chosen.append(ref)
            covered |= new
        if len(chosen) == most or len(covered) == len(view.rows):
            break
    return chosen


def _rows_with(view: View, refs: Sequence[Ref]) -> set[int]:
    return {
        at
        for at, row in enumerate(view.rows)
        if any(row.get(ref) is not None and row.get(ref) != "" for ref in refs)
    }


def _mostly(values: Sequence[Json], holds: Callable[[Json], bool]) -> bool:
    return sum(map(holds, values)) * 50 >= len(values) * 49


def _is_id(values: Sequence[Json]) -> bool:
    def holds(value: Json) -> bool:
        if type(value) is str:
            return len(value) <= 200 and value.isprintable() and not value.startswith(("{", "["))
        return type(value) is int or (type(value) is float and value.is_integer())

    spaced = sum(type(value) is str and " " in value.strip() for value in values)
    return _mostly(values, holds) and spaced * 3 <= len(values)


def _is_name(values: Sequence[Json]) -> bool:
    if not _mostly(values, lambda value: type(value) is str and len(value) <= 100 and value.isprintable()):
        return False
    texts = [value for value in values if type(value) is str]
    distinct = set(texts)
    if sum(bool(_IDENTIFIER.fullmatch(text)) for text in distinct) * 4 > len(distinct):
        return False
    return len(distinct) <= max(12, len(texts) // 3)


def _by_look(view: View, taken: set[Ref | None]) -> list[tuple[float, Ref]]:
    """Return the fields whose values look like event names, whatever their own name."""
    found: list[tuple[float, Ref]] = []
    for ref, values in view.columns.items():
        if ref in taken or not _is_name(values) or ref.last in TELLING_OF_USERS:
            continue
        if (
            max(
                as_user(ref.last, ref.holder), as_anonymous(ref.last, ref.holder), as_id(ref.last, ref.holder)
            )
            >= 40
        ):
            continue
        texts = {value for value in values if type(value) is str}
        alike = sum(bool(_LIKE_AN_EVENT.fullmatch(text)) for text in texts)
        is_first = ref.parts == (0,)
        if is_first or (
            alike * 10 >= len(texts) * 7 and len(texts) > 1 and len(values) * 2 >= len(view.rows)
        ):
            found.append((20 + 10 * is_first - ref.depth, ref))
    return sorted(found, key=lambda one: (-one[0], str(one[1].parts)))


def _ids_by_look(view: View, taken: set[Ref | None]) -> list[tuple[float, Ref]]:
    """Return the fields whose values look like recurring ids, whatever their own name."""
    found: list[tuple[float, Ref]] = []
    for ref, values in view.columns.items():
        if ref in taken or not _is_id(values) or ref.last in TELLING_OF_USERS or as_time(ref.last, ""):
            continue
        is_key = ref.root == "message"  # messages are usually keyed by the user
        if as_id(ref.last, ref.holder) >= _WEAK or (len(values) > 5 and _is_unique(values) and not is_key):
            continue
        texts = [value for value in values if type(value) is str and _ID_LIKE.fullmatch(value)]
        share = len(values) / len(view.rows)
        if (
            len(texts) * 10 >= len(values) * 9
            and share >= 0.5
            and (len(set(texts)) > 1 or len(set(view.of)) == 1)
        ):
            found.append((20 * share - ref.depth - 5 * _is_unique(values), ref))
    return sorted(found, key=lambda one: (-one[0], str(one[1].parts)))


_ID_LIKE: Final = re.compile(
    r"[A-Za-z]{0,8}[-_:#]?\d{1,20}|[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-fA-F]{12,64}|\S+@\S+\.\S+"
)
