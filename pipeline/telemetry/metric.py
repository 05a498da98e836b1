"""The parts of a row in the table of metrics."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["counter", "gauge", "histogram"]

# From half a millisecond to a minute: the range of a POST, a commit, or an event's end-to-end time.
SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


@dataclass(slots=True, frozen=True)
class Metric:
    """One row of the table."""

    kind: Kind
    unit: str
    meaning: str
    remedy: str = ""
    """What to do when it looks bad; "" where nothing can be done."""
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


counter = partial(Metric, "counter")
gauge = partial(Metric, "gauge")
seconds = partial(Metric, "histogram", "seconds", buckets=SECONDS)
