"""`make soak`: a whole installation for half an hour, and what has grown in it.

    python -m tests.chaos.soak [--minutes 30] [--rate EVENTS_PER_SEC] [--folder DIR]

`hookline up` with collector, job and console; a receiver that is sick again and again; a webhook whose every
request is a dead letter; new users all the time; an edit of the config every few seconds, by file and by
console, broken ones and new webhooks among them; two taps; somebody who clicks through the console. Prints,
for each window, memory, files, threads and Python's memory blocks of every process, every part of the disk,
how long ends of epochs took, and the time from an event's making to its arrival. Ends with a line through
the second half of each of them: exit code 1 where something grows and nothing says where that ends.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.chaos.soak.rig import soak
from tests.chaos.soak.verdict import LEAST, judged

LEAST_WINDOWS = 2 * LEAST + 4
"""So many looks at least are taken, however short the soak."""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--window", type=float, help="seconds between two looks; by default at most a minute")
    parser.add_argument("--rate", type=float, default=60, help="events per second")
    parser.add_argument("--edits", type=float, default=3, help="seconds between two edits of the config")
    parser.add_argument("--folder", type=Path, help="where all of it goes; by default a temporary folder")
    given = parser.parse_args()
    window_secs = given.window or min(60.0, given.minutes * 60 / LEAST_WINDOWS)
    with tempfile.TemporaryDirectory(prefix="hookline-soak-", dir=given.folder) as made:
        samples = soak(
            Path(made),
            windows=max(1, round(given.minutes * 60 / window_secs)),
            window_secs=window_secs,
            rate=given.rate,
            edit_secs=given.edits,
            show=lambda rows: print(rows, flush=True),
        )
    verdict = judged(samples)
    print("", *verdict.rows(), sep="\n")
    return 0 if verdict.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
