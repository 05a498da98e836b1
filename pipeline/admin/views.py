"""What a job shows of itself, as functions that the HTTP views call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True, frozen=True)
class Views:
    """What the job shows; thread-safe functions that do not block for long."""

    status: Callable[[], dict[str, Any]]
    """The accounting of DESIGN 10, and whatever else `hookline status --json` has."""
    unhealthy: Callable[[], str | None]
    """Why the job must be restarted; None while it is well."""
    unready: Callable[[], str | None]
    """Why the job is not taking records in yet; None when it does."""
    refresh: Callable[[], None] = lambda: None
    """Brings the metrics up to date before they are read."""
