"""Orders to the engine about one webhook: carried out by its own thread, between two turns."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from pipeline.deliver.core import Core
from pipeline.deliver.halts import LEADS_TO, Halt, Order
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

    def halt(self, webhook_id: str, halt: Halt) -> None:
        """Stop sending to a webhook. gone: because of a 410, so a changed definition lifts it."""
        self._tell(lambda core: _halt(core, webhook_id, halt))

    def obey(self, webhook_id: str, order: Order) -> None:
        """Carry out a person's order: `resume` ends nothing but a pause."""
        only: Halt | None = "paused" if order == "resume" else None
        self._tell(lambda core: _halt(core, webhook_id, LEADS_TO[order], only))

    def retry_now(self, webhook_id: str) -> None:
        """Make everything pending for the webhook due now."""
        self._tell(lambda core: core.retry_now(webhook_id))

    def keep_attempts(self, attempts: Attempts) -> None:
        """Keep the recent attempts of each webhook there from now on."""
        self._tell(lambda core: core.results.onlookers.keep(attempts))

    def let_look(self, tap: Tap | None) -> None:
        """Show every result to this observer from now on; None: to nobody."""
        self._tell(lambda core: setattr(core.results.onlookers, "tap", tap))


def _halt(core: Core, webhook_id: str, halt: Halt | None, only: Halt | None = None) -> None:
    lane = core.lane(webhook_id)
    if only is None or lane.halt == only:
        lane.halt = halt or ""
        core.nudge(lane)
