"""How much work one template may do for one event.

Work is counted, never timed: iterations, output, and what filters process inside loops. A template that
exceeds its budget is dead-lettered at the same point in every replay.
"""

from __future__ import annotations

from typing import Final

from pipeline.render.values.printing import MAX_RESULT, Failure

FREE_TURNS: Final = 16
"""Iterations that run before their results are measured."""
PER_COMPARED: Final = 8
"""Work of comparing or copying one element, relative to touching it."""
MAX_ITERATIONS: Final = 10_000
MAX_STEPS: Final = 1_000_000
"""Tags and expressions that all loops of a template may execute."""
MAX_WORK: Final = 4 * MAX_RESULT
"""Characters and elements that the filters inside a template's loops may read and produce."""


class Run:
    """The output and the budgets of one template for one event."""

    __slots__ = ("iterations", "parts", "room", "steps", "work")

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.room = MAX_RESULT
        self.iterations = 0
        self.steps = 0
        self.work = MAX_WORK

    def write(self, text: str) -> None:
        """Append to the output. Raises Failure beyond the size a template may write."""
        self.room -= len(text)
        if self.room < 0:
            raise Failure("the template's output is larger than 1 MiB")
        self.parts.append(text)

    def turn(self, steps: int) -> None:
        """Count one iteration with this many steps. Raises Failure beyond the budget."""
        self.iterations += 1
        self.steps += steps
        if self.iterations > MAX_ITERATIONS:
            raise Failure(f"the template's loops turn more than {MAX_ITERATIONS:,} times")
        if self.steps > MAX_STEPS:
            raise Failure(f"the template's loops run more than {MAX_STEPS:,} steps")

    def spend(self, size: int) -> None:
        """Count what a filter read or produced. Raises Failure beyond the budget."""
        self.work -= size
        if self.work < 0:
            raise Failure("the filters in the template's loops work on more than 4 MiB")
