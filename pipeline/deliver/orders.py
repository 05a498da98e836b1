"""Orders to the engine about one webhook: carried out by its own thread, between two turns."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from pipeline.deliver.core import Core
from pipeline.deliver.lanes.lane import Halt
from pipeline.deliver.lanes.onlookers import Attempts, Tap
from pipeline.deliver.requests.spec import LaneSpec


class Orders:
    """Orders about webhooks; callable from any thread, never waiting.

    tell: has an order carried out in the next turn. Raises Fatal where the engine has failed.
    """

    def __init__(self, tell: Callable[[Callable[[Core], None]], None]) -> None:
        self._tell = tell

    def configure(self, specs: Mapping[str, LaneSpec]) -> None:
        """Apply new versions of webhooks; those not named keep their last one for what is pending."""
        taken = dict(specs)
        self._tell(lambda core: core.configure(taken))

    def forget(self, webhook_ids: Collection[str]) -> None:
        """Drop webhooks that no config names any more, once nothing is left in their lanes."""
        self._tell(lambda core: core.forget(webhook_ids))

    def enable(self, webhook_id: str) -> None:
        """Resume a webhook that a 410 or a command disabled."""
        self._tell(lambda core: _halt(core, webhook_id, ""))

    def disable(self, webhook_id: str, *, gone: bool = False) -> None:
        """Stop sending to a webhook. gone: because of a 410, so a changed definition lifts it."""
        self._tell(lambda core: _halt(core, webhook_id, "gone" if gone else "disabled"))

    def pause(self, webhook_id: str) -> None:
        """Stop sending to a webhook for a while."""
        self._tell(lambda core: _halt(core, webhook_id, "paused"))

    def resume(self, webhook_id: str) -> None:
        """Resume a paused webhook."""
        self._tell(lambda core: _halt(core, webhook_id, "", only="paused"))

    def retry_now(self, webhook_id: str) -> None:
        """Make everything pending for the webhook due now."""
        self._tell(lambda core: core.retry_now(webhook_id))

    def keep_attempts(self, attempts: Attempts) -> None:
        """Keep the recent attempts of each webhook there from now on."""
        self._tell(lambda core: core.results.onlookers.keep(attempts))

    def let_look(self, tap: Tap | None) -> None:
        """Show every result to this observer from now on; None: to nobody."""
        self._tell(lambda core: setattr(core.results.onlookers, "tap", tap))


def _halt(core: Core, webhook_id: str, halt: Halt, only: Halt | None = None) -> None:
    lane = core.lane(webhook_id)
    if only is None or lane.halt == only:
        lane.halt = halt
        core.nudge(lane)
