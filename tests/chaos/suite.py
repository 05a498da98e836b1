"""The long forms of the fault trials with their figures, as `make chaos` runs them.

    python -m tests.chaos.suite [--only damage|first-start|isolation|ordering|outage]

One line per trial; exit code 1 if one failed. A trial checks what its short form in the tests checks.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.chaos.damage import damages
from tests.chaos.first_start import files_of_a_start, first_start, instants
from tests.chaos.isolation import isolation
from tests.chaos.ordering import ordering
from tests.chaos.outage import outage

Trial = Callable[[Path], str]


def ordering_of(seed: int) -> Trial:
    return lambda folder: ordering(folder, users=50, each=40, restarts=12, seed=seed).line()


def first_start_of(processes: int) -> Trial:
    """At every file that a first start makes, and at 60 instants of it."""

    def run(folder: Path) -> str:
        (folder / "files").mkdir()
        files = files_of_a_start(folder / "files")
        when = instants(60, 0.6 * processes, files, seed=int(time.time()))
        return first_start(folder, instants=when, processes=processes).line()

    return run


def trials() -> Iterator[tuple[str, Trial]]:
    """Yield the trials by name."""
    for processes in (1, 2):
        yield "first-start", first_start_of(processes)
    yield (
        "isolation",
        lambda folder: isolation(folder, webhooks=1000, events=100, per_sec=2, patience=300).line(),
    )
    seed = int(time.time())
    yield "damage", lambda folder: damages(folder, seeds=range(seed, seed + 300))
    for seed in range(5):
        yield "ordering", ordering_of(seed)
    yield "outage", lambda folder: outage(folder, events=100_000, kills=10, patience=600).line()


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", help="run the trials of this name")
    given = parser.parse_args()
    failed = 0
    for name, trial in trials():
        if given.only not in (None, name):
            continue
        begun = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="hookline-chaos-") as folder:
            try:
                said = trial(Path(folder))
            except Exception:
                failed += 1
                said = f"FAILED\n{traceback.format_exc()}"
        print(f"{name} ({time.monotonic() - begun:.0f} s): {said}", flush=True)
    print(f"{failed} failed" if failed else "all held")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
