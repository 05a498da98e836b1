"""When a failed request is sent again, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pipeline.model.times import parse_time

_SECS: Final = 90.0
"""Anything later is given as a time of day."""


def retry_words(line: Mapping[str, object]) -> str:
    """Return when the next try is, for a tap line or an attempt whose outcome is `retry`.

    While its receiver is down, a delivery's own due time means nothing: the next probe decides.
    """
    if line.get("probe_at"):
        return f"receiver down, probed {_when(line, 'probe_at')}"
    return f"again {_when(line, 'due_at') if line.get('due_at') else 'later'}"


def _when(line: Mapping[str, object], name: str) -> str:
    at = str(line[name])
    secs = (parse_time(at) - parse_time(str(line["at"]))) / 1000
    if secs < 0.05:
        return "at once"
    return f"in {secs:.1f} s" if secs < _SECS else f"at {at[11:19]}"
