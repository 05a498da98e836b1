"""What `repeat`, `limit` and `dedupe` of a webhook say, in plain values; join/limits.py applies them."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.language.paths import Getter


@dataclass(slots=True, frozen=True)
class Repeat:
    """Fire on the count-th match within a time, then start anew."""

    count: int
    within_ms: int
    by: Getter | None = None
    """What is counted separately; None: all matches of the user together."""


@dataclass(slots=True, frozen=True)
class Limit:
    """At most `count` per `every_ms`; None: ever."""

    count: int
    every_ms: int | None
    by: Getter | None = None


@dataclass(slots=True, frozen=True)
class Dedupe:
    """Suppress a value that went through less than `within_ms` ago; None: ever."""

    by: Getter
    within_ms: int | None


@dataclass(slots=True, frozen=True)
class Limits:
    """All limits of one webhook."""

    webhook_id: str
    repeat: Repeat | None = None
    limit: Limit | None = None
    dedupe: Dedupe | None = None
