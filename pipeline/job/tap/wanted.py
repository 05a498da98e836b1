"""What a tap wants to see: stages, and filters by webhook, event, user, answer and condition."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Final, Literal, TypeAlias, get_args

from pipeline.job.tap.answers import ends_with
from pipeline.language.work import TooExpensive, apart, begin
from pipeline.match.conditions.nodes import Condition
from pipeline.model.records import Event, User
from pipeline.model.words import one_of

Stage: TypeAlias = Literal[
    "read", "invalid", "skipped", "unmatched", "suppressed", "matched", "sent", "dead"
]  # fmt: skip
"""In the order of the flow, named as in the accounting."""
STAGES: Final[tuple[Stage, ...]] = get_args(Stage)
USUAL: Final[tuple[Stage, ...]] = ("matched", "sent", "dead")
OUTCOMES: Final = ("delivered", "retry", "dead")
MOST_RATE: Final = 10_000
"""Lines a second that a tap may ask for."""

Payload: TypeAlias = Literal["none", "short", "full"]


@dataclass(slots=True, frozen=True)
class Wanted:
    """The filters of one tap. Patterns are matched against names as they come: a reload changes nothing."""

    stages: frozenset[Stage] = frozenset(USUAL)
    webhooks: tuple[str, ...] = ()
    """Patterns; (): any."""
    events: tuple[str, ...] = ()
    user: str | None = None
    """A user id or an anonymous id."""
    message: str | None = None
    """A ``webhook-id``."""
    statuses: tuple[str, ...] = ()
    """Of attempts: ``503``, ``5xx``, or a fault such as ``timeout``."""
    outcomes: frozenset[str] = frozenset()
    where: Condition | None = None
    why: bool = False
    payload: Payload = "short"
    rate: int = 100
    """Lines a second."""
    _known: dict[str, bool] = field(default_factory=dict, compare=False)

    @property
    def asks_event(self) -> bool:
        """True where a filter needs the event."""
        return bool(self.events or self.user is not None or self.where is not None)

    @property
    def asks_answer(self) -> bool:
        """True where a filter needs an attempt's outcome."""
        return bool(self.statuses or self.outcomes)

    @property
    def asks_each(self) -> bool:
        """True where each event, request or answer is examined: few may match."""
        return self.asks_event or self.message is not None or self.asks_answer

    def of_webhook(self, webhook_id: str) -> bool:
        """Return whether a webhook is among those wanted."""
        if not self.webhooks:
            return True
        found = self._known.get(webhook_id)
        if found is None:
            found = self._known[webhook_id] = any(fnmatchcase(webhook_id, one) for one in self.webhooks)
        return found

    def of_event(self, event: Event, user: User) -> bool:
        """Return whether an event passes, with what is known of its user; the condition is evaluated last.

        Its work is not counted: webhooks may use as much for the event as without a tap.
        """
        if self.events and not any(fnmatchcase(event.name, one) for one in self.events):
            return False
        if self.user is not None and self.user not in (event.user_id, event.anonymous_id):
            return False
        if self.where is None:
            return True
        with apart():
            begin(event, user)
            try:
                return self.where.whole(event, user, None)
            except TooExpensive:
                return False

    def of_answer(self, status: int, fault: str, outcome: str) -> bool:
        """Return whether an attempt passes, by its status (or fault) and its outcome."""
        if self.outcomes and outcome not in self.outcomes:
            return False
        return not self.statuses or ends_with(self.statuses, status, fault)


def checked_stages(given: Collection[str]) -> frozenset[Stage]:
    """Return stages by their names. Raises UsageError for an unknown one."""
    return frozenset(one_of(one, STAGES, "stage") for one in given)


def checked_outcomes(given: Collection[str]) -> frozenset[str]:
    """Return outcomes by their names. Raises UsageError for an unknown one."""
    return frozenset(one_of(one, OUTCOMES, "outcome") for one in given)
