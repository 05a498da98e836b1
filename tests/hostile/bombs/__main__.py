"""`make bombs`: the dearest of all, or of some."""

from __future__ import annotations

import argparse
import gc
import os
import platform
import statistics
import time

from pipeline.runtime.process import GC_THRESHOLD
from tests.hostile.bombs.run import GROUPS, Found, calibrate, explode


def main() -> None:
    """Measure and print the dearest."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--only", default="", help="part of the names of those to measure")
    parser.add_argument("--group", default="", choices=["", *GROUPS])
    parser.add_argument("--top", type=int, default=40)
    parser.add_argument("--over", type=float, default=30, help="milliseconds from which it is measured again")
    given = parser.parse_args()
    gc.set_threshold(GC_THRESHOLD, 20, 50)  # as in the job
    gc.freeze()
    unit = statistics.median(calibrate() for _ in range(9))
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python "
        f"{platform.python_version()}; a loop of 250,000 turns takes {1e3 * unit:.1f} ms"
    )
    found: list[Found] = []
    for group, bombs in GROUPS.items():
        many, begun = 0, time.time()
        for bomb in bombs() if given.group in ("", group) else ():
            if given.only not in bomb.name:
                continue
            one = explode(bomb)
            if one is None:
                continue
            many += 1
            if one.secs * 1e3 > given.over:
                one = explode(bomb, 3) or one
                print(f"# {one}", flush=True)
            found.append(one)
        print(f"{group}: {many} bombs in {time.time() - begun:.0f} s", flush=True)
    found.sort(key=lambda one: -one.secs)
    for one in found[: given.top]:
        rate = f"{1e9 * one.secs / one.units:6.0f} ns" if one.units else "     free"
        print(f"{1e3 * one.secs:8.1f} ms {one.units:>10,} units {rate}  {one.name}  {one.ended}")


if __name__ == "__main__":
    main()
