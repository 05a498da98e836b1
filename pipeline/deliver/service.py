"""The delivery engine as the rest of a process sees it; tests put another one in its place."""

from __future__ import annotations

from typing import Protocol

from pipeline.deliver.requests.spec import LaneSpec
from pipeline.deliver.stats import EngineStats
from pipeline.outbox.handover import Engine


class Halting(Protocol):
    """What can be told to stop sending to a webhook, and to send again."""

    def enable(self, webhook_id: str) -> None:
        """Send to a webhook again."""

    def disable(self, webhook_id: str, *, gone: bool = False) -> None:
        """Send nothing more to a webhook; gone: until its definition changes."""

    def pause(self, webhook_id: str) -> None:
        """Send nothing to a webhook for a while."""

    def resume(self, webhook_id: str) -> None:
        """Send to a webhook again where it is paused."""


class DeliveryService(Engine, Halting, Protocol):
    """The whole of it. All methods are thread-safe."""

    def start(self) -> None:
        """Begin to send."""

    def configure(self, specs: dict[str, LaneSpec]) -> None:
        """Use these settings from now on; webhooks that are not named keep theirs."""

    def renew_secrets(self) -> bool:
        """Use files of secrets and certificates as they are now; True if any has changed."""

    def retry_now(self, webhook_id: str) -> None:
        """Make everything that waits for a webhook due now."""

    def stats(self) -> EngineStats:
        """The present numbers of every webhook."""

    def busy(self) -> bool:
        """True while the source should pause: requests come faster than they can be sent."""

    def begin_drain(self, deadline_secs: float) -> None:
        """Begin to send what can be sent before the deadline."""

    def is_drained(self) -> bool:
        """True where nothing more can complete before that deadline."""

    def drain(self, deadline_secs: float) -> bool:
        """Send what can be sent before the deadline."""

    def stop(self) -> None:
        """End the engine; what is in flight is aborted and stays owed."""
