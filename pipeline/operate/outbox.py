"""What is owed and waits on disk: listed, made due now, given up."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline.admin.client import ask
from pipeline.language.slots import mask
from pipeline.model.json import Value
from pipeline.model.times import format_iso
from pipeline.operate.asking import Changed, ask_or_leave
from pipeline.outbox.handover import Delivery
from pipeline.outbox.view import owed as owed_rows


@dataclass(slots=True, frozen=True)
class Owed:
    """A request that waits on disk, with the folder of its store."""

    store: Path
    delivery: Delivery

    @property
    def user(self) -> str:
        """The user id or anonymous id, without what tells them apart (join/links.py)."""
        return self.delivery.user[2:]

    def to_json(self) -> dict[str, Value]:
        """Return every fact; secrets are shown as ``${NAME}``."""
        delivery = self.delivery
        return {
            "webhook": delivery.webhook_id,
            "webhook_id": delivery.message_id,
            "user": self.user or None,
            "attempts": delivery.attempt,
            "created_at": format_iso(delivery.created_ms),
            "due_at": format_iso(delivery.due_ms) if delivery.due_ms else None,
            "status": delivery.status or None,
            "response": delivery.excerpt or None,
            "request": {
                "method": delivery.method,
                "url": mask(delivery.url),
                "headers": [[name, mask(value)] for name, value in delivery.headers],
                "body": mask(delivery.body).decode("utf-8", "backslashreplace"),
            },
        }


def owed(state: Path, webhook: str | None = None, user: str | None = None) -> list[Owed]:
    """Return what waits on disk, of one webhook and user or of all; the one that is due first is first."""
    found = [Owed(store, delivery) for store, delivery in owed_rows(state, webhook)]
    found = [one for one in found if user is None or one.user == user]
    return sorted(found, key=lambda one: (one.delivery.due_ms, one.delivery.created_ms))


def retry_now(state: Path, webhook: str) -> None:
    """Let the running job send what waits for a webhook now. Raises NotRunning."""
    ask(state, "outbox-retry-now", webhook=webhook)


def drop(state: Path, webhook: str | None = None, user: str | None = None) -> Changed | None:
    """Give up what waits: it becomes dead letters with the reason `dropped`; None: nothing waits."""
    found = [(one.store, one.delivery.row) for one in owed(state, webhook, user)]
    return ask_or_leave(state, "drop", found) if found else None
