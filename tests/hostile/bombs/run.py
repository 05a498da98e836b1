"""Setting off bombs: what each of them takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pipeline.language import work
from pipeline.model.errors import RenderError
from tests.hostile.bombs.conditions import of_captures, of_conditions, of_conversions, of_operators
from tests.hostile.bombs.formats import of_formats
from tests.hostile.bombs.shapes import of_shapes
from tests.hostile.bombs.templates import of_directives, of_filters
from tests.hostile.bombs.values import Bomb

GROUPS: dict[str, Callable[[], Iterator[Bomb]]] = {
    "operator": of_operators,
    "conversion": of_conversions,
    "condition": of_conditions,
    "selector": of_captures,
    "filter": of_filters,
    "directive": of_directives,
    "format": of_formats,
    "shape": of_shapes,
}


@dataclass(slots=True, frozen=True)
class Found:
    """What a bomb cost."""

    name: str
    secs: float
    units: int
    ended: str
    """"", or why it was given up."""


def explode(bomb: Bomb, times: int = 1) -> Found | None:
    """Run a bomb; return its CPU time (the least of so many), the work it was counted, and its end.

    None where the language refuses it.
    """
    run = bomb.make()
    if run is None:
        return None
    least, ended = 1e9, ""
    for _ in range(times):
        work.begin(None, None)
        begun = time.thread_time()
        try:
            run()
        except work.TooExpensive:
            ended = "too-expensive"
        except RenderError as error:
            ended = str(error)[:60]
        least = min(least, time.thread_time() - begun)
    return Found(bomb.name, least, work.BUDGET - work._work.left, ended)


def calibrate() -> float:
    """Return the seconds that a loop of Python takes on this machine at this moment."""
    values, total = list(range(250_000)), 0
    begun = time.thread_time()
    for value in values:
        if type(value) is int:
            total += value
    return time.thread_time() - begun
