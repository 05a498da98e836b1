"""Size limits of what comes in: anything larger is dead-lettered, or refused and counted."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True, frozen=True)
class Sizes:
    """The `limits` of pipeline.yaml, and `join.max_merged`.

    The defaults are far above what any product's library sends.
    """

    record_bytes: int = 1 << 20
    members: int = 10_000
    """Records in one envelope."""
    id_chars: int = 1_024
    """Characters of an event's id, a user id, an anonymous id."""
    user_properties: int = 2_000
    user_bytes: int = 256 << 10
    """A user's properties, as JSON."""
    merged: int = 100_000
    """Ids that alias calls have merged into others, per source partition: `join.max_merged`."""


USUAL = Sizes()
KEPT_BYTES = 64 << 10
"""Bytes kept of a record that is too large."""
