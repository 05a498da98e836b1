"""What is owed and waits on disk: listed, made due now, given up."""

from __future__ import annotations

from pathlib import Path

from pipeline.admin.socket_client import ask
from pipeline.model.json import Value
from pipeline.model.times import format_iso
from pipeline.operate.asking import Changed, ask_or_leave
from pipeline.outbox.reading.dead_letter_json import request_json
from pipeline.outbox.reading.view import Owed, require_webhook
from pipeline.outbox.reading.view import owed as owed_rows


def to_json(owed: Owed) -> dict[str, Value]:
    """Return every fact of a request that waits on disk; secrets are shown as ``${NAME}``."""
    request, progress = owed.request, owed.progress
    return {
        "webhook": request.webhook_id,
        "webhook_id": request.message_id,
        "user": _user(owed) or None,
        "attempts": progress.attempt,
        "created_at": format_iso(request.created_ms),
        "due_at": format_iso(progress.due_ms) if progress.due_ms else None,
        "status": progress.status or None,
        "response": progress.excerpt or None,
        "request": request_json(request),
    }


def owed(state: Path, webhook: str | None = None, user: str | None = None) -> list[Owed]:
    """Return what waits on disk, of one webhook and user or of all; the one that is due first is first.

    Raises UsageError where there is no such webhook.
    """
    if webhook is not None:
        require_webhook(state, webhook)
    found = [one for one in owed_rows(state, webhook) if user is None or _user(one) == user]
    return sorted(found, key=lambda one: (one.progress.due_ms, one.request.created_ms))


def _user(owed: Owed) -> str:
    """Return the user id or anonymous id, without what tells them apart (join/links.py)."""
    return owed.request.user[2:]


def retry_now(state: Path, webhook: str) -> None:
    """Let the running job send what waits for a webhook now. Raises NotRunning."""
    ask(state, "outbox-retry-now", webhook=webhook)


def drop(state: Path, webhook: str | None = None, user: str | None = None) -> Changed | None:
    """Give up what waits: it becomes dead letters with the reason `dropped`; None: nothing waits."""
    found = [(one.store, one.row) for one in owed(state, webhook, user)]
    return ask_or_leave(state, "drop", found) if found else None
