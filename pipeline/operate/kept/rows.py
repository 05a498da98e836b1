"""Which stored requests a person means: what dead letters and pending ones can both be selected by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from pipeline.job.tap.answers import ends_with, fault_of
from pipeline.model.json import Value
from pipeline.outbox.handover import Progress, Request

Seen: TypeAlias = Callable[[Value], Value]
"""Takes all facts of a request and returns them as the viewer may see them."""


@dataclass(slots=True, frozen=True, kw_only=True)
class Rows:
    """Those that meet every given condition."""

    webhook: str | None = None
    statuses: tuple[str, ...] = ()
    """How the last attempt ended: ``503``, ``5xx``, or a fault such as ``timeout``."""
    since: int | None = None
    """Given up, or matched if it is still owed, at or after this, in unix milliseconds."""
    until: int | None = None
    """The same before this."""
    user: str | None = None
    """A user id or an anonymous id."""
    text: str | None = None
    """A text in the body, ignoring case."""
    seen: Seen | None = None
    """What the viewer may see of a request: the text is searched there; None: everything."""

    def holds_row(
        self, request: Request, progress: Progress, at_ms: int, facts: Callable[[], dict[str, Value]]
    ) -> bool:
        """Return whether a request meets these conditions, but for the webhook.

        at_ms: since when it is what it is. facts: returns all of it; called only when needed.
        """
        return (
            (self.since is None or at_ms >= self.since)
            and (self.until is None or at_ms < self.until)
            and (not self.statuses or has_ended(progress, self.statuses))
            and (self.user is None or request.user[2:] == self.user)
            and (self.text is None or self._holds_text(request.body, self.text, facts))
        )

    def _holds_text(self, body: bytes, text: str, facts: Callable[[], dict[str, Value]]) -> bool:
        """Spaces are ignored too where only a part may be seen, because masked bodies are reformatted."""
        wanted = text.lower()
        if wanted not in body.decode("utf-8", "replace").lower():
            return False
        if self.seen is None:
            return True
        shown = str(self.seen(facts())["request"]["body"]).lower()
        return "".join(wanted.split()) in "".join(shown.split())


UNTRIED: Final = "not tried yet"


def has_ended(progress: Progress, ways: tuple[str, ...]) -> bool:
    """Return whether the last attempt ended in one of these ways: ``503``, ``5xx``, ``timeout``."""
    return bool(progress.attempt) and ends_with(ways, progress.status, fault_of(progress.excerpt))


def last_answer(progress: Progress) -> str:
    """Return it in one word: ``503``, ``timeout``, or that there was none."""
    if not progress.attempt:
        return UNTRIED
    return str(progress.status) if progress.status else fault_of(progress.excerpt) or "no answer"
