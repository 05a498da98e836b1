"""Run schedules: ``python -m tests.simulation [--seed N | --from N] [--seconds N]``."""

from __future__ import annotations

import argparse
import sys
import time
import traceback

from tests.simulation.life import on_stage
from tests.simulation.seeds import Schedule


def main() -> int:
    words = argparse.ArgumentParser(prog="python -m tests.simulation")
    words.add_argument("--seed", type=int, help="only this one, with its steps")
    words.add_argument("--from", type=int, default=1, dest="first", help="the first seed")
    words.add_argument("--seconds", type=float, default=60.0)
    given = words.parse_args()
    begun, seed = time.monotonic(), given.seed if given.seed is not None else given.first
    with on_stage():
        while True:
            schedule = Schedule(seed)
            try:
                schedule.run()
            except BaseException:
                print(*schedule.world.trace, sep="\n")
                traceback.print_exc()
                print(f"seed {seed}: python -m tests.simulation --seed {seed}")
                return 1
            if given.seed is not None:
                print(*schedule.world.trace, sep="\n")
                return 0
            seed += 1
            if time.monotonic() - begun > given.seconds:
                break
    print(f"{seed - given.first} schedules in {time.monotonic() - begun:.0f} s: no promise is broken")
    return 0


if __name__ == "__main__":
    sys.exit(main())
