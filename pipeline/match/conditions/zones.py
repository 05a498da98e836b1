"""The time zone in which a clause reads times."""

from __future__ import annotations

from datetime import tzinfo

from pipeline.language.paths import Scope
from pipeline.match.operators.dates import zone
from pipeline.match.operators.operands import Zone
from pipeline.model.records import Event, User


def zone_of(tz: Zone, event: Event, user: User, scope: Scope) -> tzinfo | None:
    """Return the zone; UTC (None) where a path leads nowhere or names no zone, as documented for `tz`."""
    if tz is None or isinstance(tz, tzinfo):
        return tz
    name = tz(event, user, scope)
    return zone(name) if type(name) is str else None
