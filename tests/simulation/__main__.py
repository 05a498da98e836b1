"""Run schedules: ``python -m tests.simulation [--seconds N] [--from N] [--seed N] [--mutants [NAME ..]]``."""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from itertools import count

import pytest

from tests.simulation.life import on_stage
from tests.simulation.mutants import MUTANTS, RARE
from tests.simulation.seeds import Schedule

LEAST = 100
"""So many schedules a mutant is given at least."""


def schedules(first: int, seconds: float, least: int = 1) -> tuple[int, Schedule | None]:
    """Run schedules for so long; return how many were run and the one that failed, the error in its trace.

    least: so many are run however slow the machine is.
    """
    end = time.monotonic() + seconds
    with on_stage():
        for seed in count(first):
            schedule = Schedule(seed)
            try:
                schedule.run()
            except Exception:
                schedule.world.tell(traceback.format_exc().rstrip())
                return seed - first + 1, schedule
            if time.monotonic() > end and seed - first + 1 >= least:
                break
    return seed - first + 1, None


def find(name: str, first: int, seconds: float) -> tuple[int, Schedule | None]:
    """Run schedules with a mutant in the product; return what `schedules` does."""
    with pytest.MonkeyPatch.context() as patch:
        MUTANTS[name](patch)
        return schedules(first, seconds, LEAST)


def main() -> int:
    words = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    words.add_argument("--seconds", type=float, default=3600.0, help="how long (of a mutant: at most)")
    words.add_argument("--from", type=int, default=1, dest="first", help="the first seed")
    words.add_argument("--seed", type=int, help="only this one, with its steps")
    words.add_argument("--mutants", nargs="*", choices=MUTANTS, help="faults in the product, all to be found")
    given = words.parse_args()
    if given.mutants is not None:
        return mutants(given.mutants or list(MUTANTS), given)
    begun = time.monotonic()
    if given.seed is not None:
        given.first, given.seconds = given.seed, 0.0
    number, failed = schedules(given.first, given.seconds)
    if failed is not None:
        print(*failed.world.trace, f"again: python -m tests.simulation --seed {failed.seed}", sep="\n")
        return 1
    print(f"{number} schedules in {time.monotonic() - begun:.0f} s: no promise is broken")
    return 0


def mutants(names: list[str], given: argparse.Namespace) -> int:
    """Say how soon each mutant is found; 1 where one is not."""
    missed = 0
    for name in names:
        begun = time.monotonic()
        number, failed = find(name, given.first, min(given.seconds, 60.0))
        took = f"{number} schedules, {time.monotonic() - begun:.1f} s"
        missed += failed is None and name not in RARE
        how = failed.world.trace[-1].splitlines()[-1][:150] if failed is not None else "NOT FOUND"
        print(f"{name}: {took}: {how}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
