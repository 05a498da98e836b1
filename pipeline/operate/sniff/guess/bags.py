"""Which objects and lists of a table hold properties of an event or of a user."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from pipeline.model.json import Value
from pipeline.operate.sniff.guess.fields import Ref, View
from pipeline.operate.sniff.guess.words import TELLING_OF_USERS, TRAITS

_SURE: Final = 50


def bag_of(view: View, weights: Mapping[str, int]) -> Ref | None:
    """Return the object most like the properties of an event (weights: BAGS) or of a user (TRAITS)."""
    best: tuple[float, Ref] | None = None
    for ref, values in view.columns.items():
        weight = weights.get(ref.last, 0)
        if not ref.is_own or weight < _SURE or not all(type(one) is dict or one == [] for one in values):
            continue
        if ref.depth > 3:
            continue
        share = len(values) / len(view.rows)
        score = weight * (0.3 + 0.7 * share) - 8 * (ref.depth - 1)
        if share >= 0.3 and (best is None or score > best[0]):
            best = score, ref
    return None if best is None else best[1]


def pairs_of(view: View) -> Value:
    """Return the list of names and values that represents an object, as in a shape file, or None."""
    for ref, values in view.columns.items():
        if not ref.is_own or ref.depth > 2 or not all(type(one) is list for one in values):
            continue
        held = [one for value in values if type(value) is list for one in value]
        if not held or not all(type(one) is dict and len(one) <= 8 for one in held):
            continue
        names = [name for one in held if type(one) is dict for name in one]
        key = next((name for name in ("key", "k", "name", "n") if names.count(name) == len(held)), None)
        others = list(dict.fromkeys(name for name in names if name != key))
        if key is None or not others or not all(_PAIRED.fullmatch(name) for name in others):
            continue
        source = ref.source()
        return {"pairs": source, "key": key, "value": others[0] if len(others) == 1 else others}
    return None


_PAIRED: Final = re.compile(
    r"(string|int|integer|float|double|bool|boolean|num|number|text)?_?(val|value)s?|[vsifbdn]|str|int|num",
    re.IGNORECASE,
)


def tells_of_users(view: View) -> bool:
    """Return whether records without an event's name describe users."""
    names = {ref.last for ref in view.columns if not ref.up}
    strong = names & TELLING_OF_USERS
    traits = any(TRAITS.get(name, 0) >= 96 or name == "profile" for name in names)
    return len(strong) >= 2 or "email" in strong or traits
