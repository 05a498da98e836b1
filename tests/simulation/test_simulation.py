"""Some hundred schedules, and faults that they find; `make sim` runs them for an hour."""

from __future__ import annotations

import pytest

from tests.simulation.__main__ import find, schedules
from tests.simulation.life import on_stage
from tests.simulation.mutants import MUTANTS, RARE
from tests.simulation.seeds import Schedule

SECONDS = 12.0
QUICKLY = (
    "undo_is_off",
    "undo_is_not_emptied",
    "undo_is_emptied_in_mid_epoch",
    "journal_is_forgotten_one_epoch_early",
    "finished_expires_at_once",
    "high_water_is_not_synced",
    "version_is_not_stored",
    "replaced_files_are_not_synced",
    "store_is_in_its_folder_too_late",
    "trail_is_not_kept",
    "nobody_asks_where_the_other_topic_ends",
)
"""Mutants that fall within some schedules; ``python -m tests.simulation --mutants`` runs them all."""


def told(schedule: Schedule | None) -> str:
    return "\n".join(["", *schedule.world.trace, f"seed {schedule.seed}"]) if schedule is not None else ""


def test_no_schedule_breaks_a_promise() -> None:
    _, failed = schedules(1, SECONDS, least=20)
    assert failed is None, told(failed)


@pytest.mark.parametrize("name", QUICKLY)
def test_a_fault_in_the_protocol_is_found(name: str) -> None:
    number, failed = find(name, 1_000, 30.0)
    assert failed is not None, f"{number} schedules have not found it"


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(MUTANTS.keys() - set(QUICKLY) - RARE))
def test_a_rarer_fault_is_found(name: str) -> None:
    number, failed = find(name, 1, 100.0)
    assert failed is not None, f"{number} schedules have not found it"


def test_a_seed_is_always_the_same_schedule() -> None:
    told = []
    for _ in range(2):
        with on_stage():
            schedule = Schedule(7)
            schedule.run()
        told.append((schedule.world.trace, schedule.world.operations, sorted(schedule.world.bodies)))
    assert told[0] == told[1]
