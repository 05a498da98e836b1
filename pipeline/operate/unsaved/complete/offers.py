"""What may stand at a place of a text."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.model.json import Value
from pipeline.operate.unsaved.results import Completion


def complete(
    file: str, text: str, line: int, column: int, names: Mapping[str, Value], catalog: Value
) -> list[Completion]:
    """Return what may stand at a place, the likeliest first."""
    return []
