"""A replay: a recorded stream run again on a state of its own, with the webhook-ids of the live run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from pathlib import Path
from urllib.parse import urlsplit

from pipeline.deliver.requests.spec import LaneSpec
from pipeline.model.errors import UsageError
from pipeline.model.records import Event


@dataclass(slots=True, frozen=True)
class Replay:
    """Which part of the stream fires, and where its requests go.

    Everything is read, so that user properties are as they were; only events inside the window fire.
    """

    since_ms: int | None = None
    """Unix ms of event time, inclusive; events without a time are outside any window."""
    until_ms: int | None = None
    """Exclusive."""
    webhooks: frozenset[str] = frozenset()
    """Empty: all that are enabled."""
    user_id: str | None = None
    """A user id, including events of its anonymous ids after they were linked, or an anonymous
    id; None: all."""
    to: str | None = None
    """Origin (``http://127.0.0.1:9000``) that replaces every URL's own; None: nothing changes."""
    rate_per_sec: float | None = None
    """Requests per second and webhook."""
    speed: float | None = None
    """How fast event time passes, as a multiple of real time; None: as fast as possible."""
    users_of: Path | None = None
    """A job's state directory: its users and links, as they are now, are known from the start."""
    lives: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    """Per topic of the live job: its life and id, so that records get the job's origins."""

    def __post_init__(self) -> None:
        if self.to is not None:
            parts = urlsplit(self.to)
            if parts.scheme not in ("http", "https") or not parts.netloc or parts.path.strip("/"):
                raise UsageError(f"`{self.to}` is no origin: want scheme, host and port alone")

    def state_beside(self, state: Path, source: object) -> Path:
        """Return its own state directory, beside the job's: the same one for the same words."""
        words = repr((source, self.since_ms, self.until_ms, sorted(self.webhooks), self.user_id))
        if self.users_of is not None:
            words += f" {self.users_of.absolute()}"
        name = blake2b(f"{words}{self.to}".encode(), digest_size=4).hexdigest()
        return state.with_name(f"{state.name}-replay-{name}")

    def wants(self, event: Event) -> bool:
        """Return whether an event fires in this replay."""
        if self.user_id is not None and self.user_id not in (event.user_id, event.anonymous_id):
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
