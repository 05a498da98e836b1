"""Times as integers: milliseconds since the unix epoch, UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def format_iso(ms: int) -> str:
    """Return ISO 8601 in UTC with milliseconds: ``2026-11-23T14:50:00.123Z``.

    Raises OverflowError outside the years 1 to 9999.
    """
    at = EPOCH + timedelta(milliseconds=ms)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z" if at.year >= 1000 else at.isoformat()
