"""Which webhooks are sent to, and changing that: in the running job, or beside a stopped one."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline.admin.socket_client import NotRunning, ask
from pipeline.deliver.halts import Halts, Order
from pipeline.model.json import Value
from pipeline.operate.trials.given import load_snapshot


@dataclass(slots=True, frozen=True)
class WebhookState:
    """One webhook of the config, and whether it is sent to."""

    id: str
    state: str
    """active, off (`enabled: false`), disabled, paused, gone (410)."""
    trigger: str
    """``events: Purchase, Refund`` or ``changes: plan``."""
    url: str
    file: str

    def to_json(self) -> dict[str, Value]:
        """Return the fields."""
        return asdict(self)


def webhook_states(state: Path, config: Path) -> list[WebhookState]:
    """Return every webhook of the config, in the order of its files. Raises ConfigError."""
    halts = Halts(state).all()
    return [
        WebhookState(
            id=one.id,
            state=halts.get(one.id, "active") if one.enabled else "off",
            trigger=_trigger(one.data["trigger"]),
            url=one.data["request"]["url"],
            file=one.file,
        )
        for one in load_snapshot(config).webhooks
    ]


def _trigger(data: dict[str, Value]) -> str:
    kind = "events" if "events" in data else "changes"
    names = data.get(kind, "*")
    return f"{kind}: {names if isinstance(names, str) else ', '.join(names)}"


def give_order(state: Path, config: Path, webhook_id: str, order: Order) -> bool:
    """Stop sending to a webhook, or send again; remembered over restarts.

    Returns whether a running job did it; one that is stopped does it from its next start on. Raises
    UsageError where there is no such webhook, Refused where `resume` finds no pause but another halt.
    """
    try:
        ask(state, f"webhook-{order}", webhook=webhook_id)
    except NotRunning:
        Halts(state).obey(load_snapshot(config).named(webhook_id).id, order)
        return False
    return True
