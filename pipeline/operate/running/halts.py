"""Which webhooks are halted, and halting or resuming them: in the running job, or beside a stopped one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from pipeline.admin.socket_client import NotRunning, ask
from pipeline.deliver.halts import LEADS_TO, Halts, Order
from pipeline.language.units import show_duration
from pipeline.model.errors import ConfigError, HooklineError, Refused, StateError, UsageError
from pipeline.model.json import Plain, Value
from pipeline.model.process.private import require_own
from pipeline.model.words import no_webhook
from pipeline.operate.offline import load_snapshot
from pipeline.outbox.reading.view import accounting


@dataclass(slots=True, frozen=True)
class WebhookState(Plain):
    """One webhook of the config, and whether it is active."""

    id: str
    state: str
    """active, off (`enabled: false`), disabled, paused, gone (410)."""
    trigger: str
    """``events: Purchase, Refund`` or ``changes: plan``."""
    url: str
    file: str


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


@dataclass(slots=True, frozen=True)
class Ordered(Plain):
    """The result of an order for one webhook."""

    id: str
    pending: int
    becomes: str
    """What happens to its pending and future requests."""
    refused: str = ""
    """Why nothing was changed; "" where the order was carried out."""


@dataclass(slots=True, frozen=True)
class Orders:
    """The result of an order."""

    webhooks: list[Ordered]
    now: bool
    """Whether a running job has carried it out; a stopped one does so from its next start."""


def foresee(
    names: Sequence[str], order: Order, counts: Mapping[str, int], ages: Mapping[str, float]
) -> list[Ordered]:
    """Return what an order would do, by webhook: what is owed, and what would happen to it.

    names: as in `give_order`. counts: what each webhook owes. ages: the maximum age, in seconds, of a
    delivery of each webhook of the config. Raises UsageError where a name matches no webhook.
    """
    chosen = _chosen(names, list(dict.fromkeys([*ages, *counts])))
    return [Ordered(one, counts.get(one, 0), _becomes(order, ages.get(one))) for one in chosen]


def give_order(
    state: Path,
    config: Path,
    names: Sequence[str],
    order: Order,
    ages: Mapping[str, float] | None = None,
) -> Orders:
    """Halt or resume webhooks; remembered across restarts.

    names: ids, and patterns such as ``crm-*``; none: all. Raises UsageError where one matches no webhook, and
    Refused where a single webhook is named and another halt is in force. ages: as in `foresee`, if known;
    None: the config is read for them.
    """
    counts = _counts(state)
    try:
        ask(state, "healthz")
        now = True
    except NotRunning:
        now = False
    except HooklineError:
        now = True  # it is unhealthy, but it exists
    ages = _ages(config, must=not now) if ages is None else ages
    known = list(dict.fromkeys([*ages, *counts]))
    chosen = _chosen(names, known)
    refused = _tell(state, chosen, order) if now else _leave(state, chosen, order)
    if len(chosen) == 1 and list(names) == chosen and refused:
        raise Refused(refused[chosen[0]])
    return Orders(
        [
            Ordered(one, counts.get(one, 0), _becomes(order, ages.get(one)), refused.get(one, ""))
            for one in chosen
        ],
        now,
    )


def _counts(state: Path) -> dict[str, int]:
    """Return the pending requests, by webhook; nothing where no job has run yet."""
    try:
        return {name: one["pending"] for name, one in accounting(state)["webhooks"].items()}
    except StateError:
        return {}


def _ages(config: Path, *, must: bool) -> dict[str, float]:
    """Return the maximum age of a delivery, by webhook; must: whether a config with errors raises."""
    try:
        return {one.id: one.delivery.retry.max_age_secs for one in load_snapshot(config).webhooks}
    except ConfigError:
        if must:
            raise
        return {}  # an edit that the running job has rejected


def _chosen(names: Sequence[str], known: Sequence[str]) -> list[str]:
    chosen: dict[str, None] = {} if names else dict.fromkeys(known)
    for name in names:
        found = [one for one in known if fnmatchcase(one, name)]
        if not found:
            raise UsageError(no_webhook(name, known))
        chosen |= dict.fromkeys(found)
    return list(chosen)


def _tell(state: Path, webhooks: Sequence[str], order: Order) -> dict[str, str]:
    refused: dict[str, str] = {}
    for said in ask(state, "webhook-order", order=order, webhooks=list(webhooks)):
        refused |= said
    return refused


def _leave(state: Path, webhooks: Sequence[str], order: Order) -> dict[str, str]:
    require_own(state)
    halts, refused = Halts(state), dict[str, str]()
    for one in webhooks:
        try:
            halts.obey(one, order)
        except Refused as error:
            refused[one] = str(error)
    return refused


def _becomes(order: Order, max_age_secs: float | None) -> str:
    if LEADS_TO[order] is None:
        return "sent"
    again = "resume" if order == "pause" else "enable"
    if max_age_secs is None:
        return f"kept until `{again}`, up to its max_age"
    if not max_age_secs:
        return "a dead letter at once, as its max_age says"
    return f"kept until `{again}`; a dead letter {show_duration(max_age_secs)} after its match"
