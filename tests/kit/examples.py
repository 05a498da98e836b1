"""How many examples a property is tried with: half of the number that it names beside all other tests.

`make properties` tries each with ten times that number (HOOKLINE_EXAMPLES=10).
"""

from __future__ import annotations

import os

SHARE = float(os.environ.get("HOOKLINE_EXAMPLES") or 0.5)


def examples(number: int) -> int:
    """Return how many are tried in this run, of so many: `max_examples=examples(100)`."""
    return max(10, int(number * SHARE))
