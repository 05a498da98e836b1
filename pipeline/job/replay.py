"""A replay: a recorded stream once more, through a state of its own, with the webhook-ids of the live run."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from pipeline.deliver.requests.spec import LaneSpec
from pipeline.model.errors import UsageError
from pipeline.model.records import Event
from pipeline.sources.chunk import Position, RawChunk
from pipeline.sources.peek import peek
from pipeline.sources.reader import Reader


@dataclass(slots=True, frozen=True)
class Replay:
    """Which part of the stream fires, and where its requests go.

    Everything is read, so that user properties are what they were; only events inside the window fire.
    """

    since_ms: int | None = None
    """Unix ms of event time, inclusive; events without a time are outside of any window."""
    until_ms: int | None = None
    """Exclusive."""
    webhooks: frozenset[str] = frozenset()
    """Empty: all that are enabled."""
    user_id: str | None = None
    to: str | None = None
    """Origin (``http://127.0.0.1:9000``) that takes the place of every URL's own; None: nothing changes."""
    rate_per_sec: float | None = None
    """Requests per second and webhook."""
    speed: float | None = None
    """How fast event time passes, as a multiple of the clock; None: as fast as it goes."""

    def __post_init__(self) -> None:
        if self.to is not None:
            parts = urlsplit(self.to)
            if parts.scheme not in ("http", "https") or not parts.netloc or parts.path.strip("/"):
                raise UsageError(f"`{self.to}` is no origin: want scheme, host and port alone")

    def wants(self, event: Event) -> bool:
        """Return whether an event fires in this replay."""
        if self.user_id is not None and event.user_id != self.user_id:
            return False
        if self.since_ms is None and self.until_ms is None:
            return True
        at = event.time
        if at is None or (self.since_ms is not None and at < self.since_ms):
            return False
        return self.until_ms is None or at < self.until_ms

    def fires(self, webhook_id: str) -> bool:
        """Return whether a webhook takes part."""
        return not self.webhooks or webhook_id in self.webhooks

    def redirect(self, url: str) -> str:
        """Return the URL with the origin of ``to``."""
        if self.to is None:
            return url
        rest = url.split("://", 1)[1]
        start = min((at for at in (rest.find(mark) for mark in "/?#") if at >= 0), default=len(rest))
        return self.to.rstrip("/") + (rest[start:] or "/")

    def limit(self, specs: dict[str, LaneSpec]) -> dict[str, LaneSpec]:
        """Return the lanes' settings with the replay's rate."""
        rate = self.rate_per_sec
        if rate is None:
            return specs
        return {
            name: replace(
                spec,
                delivery=replace(spec.delivery, rate_per_sec=min(rate, spec.delivery.rate_per_sec or rate)),
            )
            for name, spec in specs.items()
        }


class Paced:
    """A reader that lets event time pass at a multiple of the clock.

    Lines without a time, or with an earlier one than before, follow at once.
    """

    def __init__(self, reader: Reader, speed: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._reader = reader
        self._speed = speed
        self._clock = clock
        self._begun: tuple[float, int] | None = None
        self._held: RawChunk | None = None
        self._due = 0.0
        self._position = reader.position

    @property
    def name(self) -> str:
        """The partition's name."""
        return self._reader.name

    @property
    def done(self) -> bool:
        """True when everything was handed out."""
        return self._held is None and self._reader.done

    @property
    def position(self) -> Position:
        """Where the last line that was handed out ends."""
        return self._position

    def read(self, limit: int) -> RawChunk | None:
        """Return the next line once it is due; None before."""
        if self._held is None:
            self._held = self._reader.read(1)
            if self._held is None:
                return None
            self._due = self._when(self._held)
        if self._clock() < self._due:
            return None
        chunk, self._held = self._held, None
        self._position = chunk.position
        return chunk

    def close(self) -> None:
        """Close the reader behind."""
        self._reader.close()

    def _when(self, chunk: RawChunk) -> float:
        at, _ = peek(chunk.lines[0])
        if at is None:
            return self._due
        if self._begun is None:
            self._begun = (self._clock(), at)
        return max(self._due, self._begun[0] + (at - self._begun[1]) / 1000 / self._speed)
