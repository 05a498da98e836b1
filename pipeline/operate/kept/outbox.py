"""Pending requests on disk: selected, made due now, dropped."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipeline.admin.socket_client import ask
from pipeline.model.errors import Refused
from pipeline.model.json import Value
from pipeline.model.times import format_iso
from pipeline.operate.kept.chosen import Chosen
from pipeline.operate.kept.paging import Deadline
from pipeline.operate.kept.rows import Rows, last_answer
from pipeline.operate.running.asking import Changed, ask_or_leave
from pipeline.outbox.reading.dead_letter_json import request_json
from pipeline.outbox.reading.view import Owed, require_webhook
from pipeline.outbox.reading.view import owed as owed_rows


@dataclass(slots=True, frozen=True, kw_only=True)
class Owing(Rows):
    """Which pending requests."""

    due: Literal["now", "later"] | None = None

    def holds(self, owed: Owed, now_ms: int) -> bool:
        """Return whether a request is selected."""
        request, progress = owed.request, owed.progress
        return (self.due is None or (progress.due_ms <= now_ms) is (self.due == "now")) and self.holds_row(
            request, progress, request.created_ms, lambda: to_json(owed)
        )


def to_json(owed: Owed) -> dict[str, Value]:
    """Return every fact of a pending request on disk; secrets are shown as ``${NAME}``."""
    request, progress = owed.request, owed.progress
    return {
        "webhook": request.webhook_id,
        "webhook_id": request.message_id,
        "user": user_of(owed) or None,
        "attempts": progress.attempt,
        "created_at": format_iso(request.created_ms),
        "due_at": format_iso(progress.due_ms) if progress.due_ms else None,
        "status": progress.status or None,
        "response": progress.excerpt or None,
        "request": request_json(request),
    }


def selected(state: Path, owing: Owing) -> Iterator[Owed]:
    """Yield the selected requests on disk, in key order.

    Raises UsageError for an unknown webhook.
    """
    if owing.webhook is not None:
        require_webhook(state, owing.webhook)
    now_ms = time.time_ns() // 1_000_000
    return (one for one in owed_rows(state, owing.webhook) if owing.holds(one, now_ms))


def user_of(owed: Owed) -> str:
    """Return the user id or anonymous id, without the prefix that distinguishes them (join/links.py)."""
    return owed.request.user[2:]


def retry_now(state: Path, webhook: str) -> None:
    """Make the running job send what is pending for a webhook now. Raises NotRunning."""
    ask(state, "outbox-retry-now", webhook=webhook)


def choose(state: Path, owing: Owing, secs: float | None = None) -> Chosen:
    """Return exactly what is selected now, to be dropped. Raises as `dlq.choose` does."""
    deadline, chosen = Deadline(secs), Chosen("drop")
    for number, one in enumerate(selected(state, owing)):
        chosen.add(one.store, one.row, one.request.webhook_id, last_answer(one.progress))
        if deadline.is_up(number):
            raise Refused(
                f"more is owed than can be counted in {secs:g} s: narrow the selection by webhook, or use "
                "`hookline outbox`, which takes its time"
            )
    return chosen


def drop(state: Path, owing: Owing, check: Callable[[Chosen], None] = lambda chosen: None) -> Changed | None:
    """Drop what is selected: it becomes dead letters with the reason `dropped`; None: nothing is selected.

    check: called with the selection; may raise.
    """
    chosen = choose(state, owing)
    check(chosen)
    return ask_or_leave(state, "drop", chosen.rows) if chosen.rows else None
