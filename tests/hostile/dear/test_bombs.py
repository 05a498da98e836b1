"""Every entry of the language's tables has its bombs, and none of them takes more than a budget of work."""

from __future__ import annotations

import gc
import random
from collections import defaultdict
from functools import cache

import pytest

from pipeline.decode.mapped.values.forms import MAINS
from pipeline.language.formats import FORMATS
from pipeline.match import selectors
from pipeline.match.captures import READERS
from pipeline.match.operators.conversions import CONVERSIONS
from pipeline.match.operators.table import OPERATORS
from pipeline.render.filters.table import FILTERS
from pipeline.render.keys import DIRECTIVES
from pipeline.render.templates.parsing.liquid import TAGS
from pipeline.runtime.process import GC_THRESHOLD
from tests.hostile.bombs.run import GROUPS, Found, calibrate, explode
from tests.hostile.bombs.values import Bomb, half, whole

pytestmark = pytest.mark.timeout(100)

LOOPS = 10
"""Loops of 250,000 turns that one bomb may take: a budget is some four of them, whatever the machine."""
TRIED = 1
"""Bombs of each entry that are set off here; `make bombs` has them all."""


@cache
def bombs_of(group: str) -> dict[str, list[Bomb]]:
    found: dict[str, list[Bomb]] = defaultdict(list)
    for bomb in GROUPS[group]():
        found[bomb.entry].append(bomb)
    return found


def test_nothing_that_the_language_has_is_without_a_bomb():
    wanted = {
        *(f"operator:{name}" for name in OPERATORS),
        *(f"conversion:{name}" for name in CONVERSIONS),
        *(f"filter:{name}" for name in FILTERS),
        *(f"directive:{name}" for name in DIRECTIVES),
        *(f"tag:{name}" for name in TAGS if not name.startswith("end") and name not in SILENT),
        *(f"criterion:{name}" for name in READERS),
        *(f"format:{name}" for name in FORMATS),
        *(f"form:{name}" for name in (*MAINS, "find", "lower", "each", "when") if name != "text"),
        *(f"condition:{name}" for name in ("all", "any", "not", "any_element", "label")),
        *(f"selector:{sign}" for sign in selectors._ATTRIBUTE_OPERATORS),
        *(f"selector::{name}" for name in (*selectors._FIRST, *selectors._NTH, "is", "not", "where")),
        *(f"selector:{kind}" for kind in ("tag", "id", "class", "attribute", "child", "descendant", "list")),
    }
    assert wanted - {entry for group in GROUPS for entry in bombs_of(group)} == set()


SILENT = ("else", "elsif", "when", "comment", "raw", "#")
"""Words that are part of another tag, or do nothing."""


@pytest.fixture(scope="module")
def collecting_as_the_job():
    """Values that fill a record are many objects: looking through them again and again takes longest."""
    before = gc.get_threshold()
    assert whole()
    assert half()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD, 20, 50)
    yield
    gc.set_threshold(*before)
    gc.unfreeze()
    whole.cache_clear()
    half.cache_clear()


@pytest.mark.usefixtures("collecting_as_the_job")
@pytest.mark.parametrize("group", GROUPS)
def test_a_bomb_takes_no_more_than_its_budget(group: str):
    dear: list[Found] = []
    loop = min(calibrate() for _ in range(3))
    for entry, bombs in bombs_of(group).items():
        dice = random.Random(entry)
        left = TRIED
        for bomb in dice.sample(bombs, len(bombs)):
            found = explode(bomb)
            if found is None:
                continue
            if found.secs > LOOPS * loop:
                # Another process may have had the core.
                found = explode(bomb, 3) or found
                if found.secs > LOOPS * max(calibrate() for _ in range(3)):
                    dear.append(found)
            left -= 1
            if not left:
                break
    assert dear == []
