"""Words for values that are too large."""

from __future__ import annotations

from pipeline.model.records import IdentityLink, Invalid, Record


def too_large(line: bytes, most: int) -> str | None:
    """Return the reason why a line is too large; None where it is not."""
    if len(line) <= most:
        return None
    return f"the record has {len(line):,} bytes; `limits.record` allows {most:,}"


def long_id(record: Record, most: int) -> str | None:
    """Return the reason why a record's ids are too long; None where they are not."""
    if isinstance(record, Invalid):
        return None
    ids = {"user id": record.user_id, "anonymous id": record.anonymous_id}
    if not isinstance(record, IdentityLink):
        ids["id"] = record.id
    for name, one in ids.items():
        if one is not None and len(one) > most:
            return f"the {name} has {len(one):,} characters; `limits.id` allows {most:,}"
    return None
