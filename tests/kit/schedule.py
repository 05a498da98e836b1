"""Which worker runs which tests, and when: a file's tests stay together, what takes long comes first.

A file's tests share what its module has started, so one worker has them all; those of some rooms share what
a session starts, so one worker has the room. What comes last must be short, or one core waits for the other:
the units that take longest come first, by name, then the rooms that start processes, then those that compute.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Sequence
from pathlib import Path, PurePath

import pytest
from xdist.scheduler import LoadScopeScheduling

TOGETHER = frozenset({"kafka", "recovery"})
"""Rooms that share what a whole session has started: one broker, one undisturbed run."""
STARTING = frozenset(
    (
        "cli", "collect", "console", "deliver", "docs", "faults", "hostile", "job", "kafka", "recovery",
        "runtime", "simulation", "bench",
    )
)  # fmt: skip
"""Rooms whose tests start processes, or wait."""
LONGEST = (
    "kafka",
    "tests/console/test_every_page.py",
    "recovery",
    "tests/collect/sdks/test_servers.py",
    "tests/console/pages/test_edit_browser.py",
    "tests/docs/test_commands.py",
    "tests/cli/test_cli_run.py",
    "tests/console/test_live.py",
    "tests/runtime/scale/test_bytewax_entry.py",
    "tests/runtime/scale/test_rescale.py",
    "tests/collect/promises/test_acknowledged.py",
)
"""Units that take half a minute and more, the longest first."""


def room_of(nodeid: str) -> str:
    """Return the folder of `tests/` that a test is in."""
    return PurePath(nodeid.partition("::")[0]).parts[1]


def unit_of(nodeid: str) -> str:
    """Return the name of what a test is run with: its room or its file."""
    return room if (room := room_of(nodeid)) in TOGETHER else nodeid.partition("::")[0]


def rank(item: pytest.Item) -> int:
    """Return when a test comes: the longest units, rooms that start processes, the others."""
    unit = unit_of(item.nodeid)
    if unit in LONGEST:
        return LONGEST.index(unit)
    return len(LONGEST) + (room_of(item.nodeid) not in STARTING)


def in_order(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """Return the tests in the order of their ranks, as they are within each."""
    return sorted(items, key=rank)


class Units(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Gives a worker whole files and rooms, in their order."""

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)


def import_share(worker: int, workers: int) -> None:
    """Import every so-manieth file of tests, in the first of so many workers from the first, and so on.

    In a new clone a worker rewrites the assertions of each file that it imports, which takes longer than all
    else before the first test. What one of them has rewritten the others only read.
    """
    root = Path(__file__).parents[1]
    for file in sorted(root.rglob("test_*.py"))[worker::workers]:
        with contextlib.suppress(Exception):  # to be told when the file is collected
            importlib.import_module(".".join(file.relative_to(root.parent).with_suffix("").parts))
