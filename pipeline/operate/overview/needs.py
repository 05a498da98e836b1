"""What needs a person's attention, each with a remedy."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, NamedTuple, TypeAlias
from urllib.parse import quote, urlencode

from pipeline.model.errors import StateError
from pipeline.model.json import Plain
from pipeline.model.words import counted
from pipeline.operate.overview.rows import WebhookRow
from pipeline.operate.overview.standing import Standing
from pipeline.operate.running.processes import PAUSED
from pipeline.operate.unsaved.environment import SecretState
from pipeline.outbox.reading.dead_letter_json import reason_of
from pipeline.outbox.reading.newest import newest
from pipeline.runtime.state.missing import missing

_STABLE: Final = re.compile(r"[a-z0-9-]{1,40}")
LATELY_MS: Final = 3_600_000
LOOK_SECS: Final = 0.3
"""How long dead letters of the last hour are counted."""
REASONS: Final = 3
"""Reasons of dead letters listed one by one."""
NAMED: Final = 5
"""Webhooks listed one by one; more are one line."""


Kind: TypeAlias = Literal["bad", "warn", "info"]


@dataclass(slots=True, frozen=True)
class Need(Plain):
    """Something that needs a person's attention."""

    kind: Kind
    words: str
    action: str
    """The text of the link."""
    path: str
    """The target of the link."""
    detail: str = ""
    """Details: a reason, or an answer, which may quote what was sent."""


def needs(
    state: Path, stands: Standing, rows: Sequence[WebhookRow], unset: Iterable[SecretState] = ()
) -> list[Need]:
    """Return what needs a person's attention, the worst first. unset: secrets without a value."""
    found = [
        *([] if stands.running else _of_state(state)),  # a running job ends where its files go
        *_of_job(stands),
        *_of_secrets(unset),
        *_of_rows(rows),
        *_of_dead(state, time.time_ns() // 1_000_000),
    ]
    order = ("bad", "warn", "info")
    return sorted(found, key=lambda need: order.index(need.kind))


def _of_state(state: Path) -> Iterable[Need]:
    for lost in missing(state):
        yield Need("bad", lost.removeprefix(f"{state}/"), "See what is left", "/pending")


def _of_job(stands: Standing) -> Iterable[Need]:
    for webhook in stands.unbalanced[:NAMED]:
        yield Need(
            "bad",
            f"The counts of {webhook} do not add up: this is a fault of Hookline",
            "Show it",
            _at(webhook),
        )
    job = stands.job
    if job is None:
        return
    if job.still_secs:
        words = f"The worker has been stuck for {job.still_secs:.0f} s: nothing is read or committed"
        yield Need("bad", words, "Look at the log", "/config")
    if job.config["problems"]:
        words = "An edit was refused: the job keeps the previous config"
        yield Need("bad", words, "See what is wrong", "/config")
    if job.waits:
        yield Need("bad", f"Records wait: {job.waits}", "See the settings", "/config")
    if job.paused:
        kind: Kind = "warn" if job.paused in ("disk", "webhook") else "info"  # the others pass by themselves
        words = f"Nothing is read for the moment: {PAUSED.get(job.paused, job.paused)}"
        yield Need(kind, words, "See what is pending", "/pending")


def _of_secrets(unset: Iterable[SecretState]) -> Iterable[Need]:
    for one in unset:
        users = ", ".join(one.webhooks[:3]) + (f" and {len(one.webhooks) - 3} more" * (len(one.webhooks) > 3))
        words = f"${{{one.name}}} has no value" + (f": {users} cannot be sent to" if users else "")
        yield Need("bad", words, "See the secrets", "/config")


class _Words(NamedTuple):
    """The texts for webhooks in one state."""

    state: str
    kind: Kind
    one: str
    many: str
    action: str


_STATES: Final = (
    _Words("broken", "bad", "{id} has errors in its file", "{n} webhooks have errors in their files", "Mend"),
    _Words(
        "down",
        "bad",
        "The receiver of {id} is down",
        "The receivers of {n} webhooks are down",
        "See why",
    ),
    _Words(
        "gone",
        "bad",
        "{id} was answered 410 Gone: nothing is sent to it",
        "{n} webhooks were answered 410 Gone",
        "See what is owed",
    ),
    _Words(
        "failing",
        "warn",
        "The receiver of {id} fails often",
        "The receivers of {n} webhooks fail often",
        "See why",
    ),
    _Words(
        "unknown",
        "warn",
        "{id} is in no file and has {pending} pending requests",
        "{n} webhooks with pending requests are in no file",
        "See what is owed",
    ),
    _Words(
        "paused",
        "info",
        "{id} is paused and has {pending} pending requests",
        "{n} paused webhooks have pending requests",
        "Show",
    ),
    _Words(
        "disabled",
        "info",
        "{id} is disabled by hand and has {pending} pending requests",
        "{n} disabled webhooks have pending requests",
        "Show",
    ),
)
_OWING: Final = frozenset({"unknown", "paused", "disabled"})
"""States that need attention only if something is owed."""


def _of_rows(rows: Sequence[WebhookRow]) -> Iterable[Need]:
    for words in _STATES:
        found = [
            row for row in rows if row.state == words.state and (row.pending or words.state not in _OWING)
        ]
        if len(found) > NAMED:
            many = words.many.format(n=f"{len(found):,}")
            yield Need(words.kind, many, "Show them", f"/webhooks?state={words.state}")
            continue
        for row in found:
            said = row.error or str(row.status or "no answer")
            one = words.one.format(id=row.id, pending=f"{row.pending:,}")
            detail = said if words.state in ("down", "failing") else ""
            yield Need(words.kind, one, words.action, _at(row.id), detail)
    wide = [row.id for row in rows if row.all_events and row.enabled]
    if len(wide) == 1:
        said = f"{wide[0]} is sent every event, without a condition"
        yield Need("warn", said, "Is that meant?", _at(wide[0]))
    elif wide:
        said = f"{len(wide):,} webhooks are sent every event, without a condition"
        yield Need("warn", said, "Is that meant?", "/webhooks?state=attention")


def _of_dead(state: Path, now_ms: int) -> Iterable[Need]:
    counts: Counter[tuple[str, str]] = Counter()
    until, more = time.monotonic() + LOOK_SECS, ""
    try:
        for dated in newest(state):
            if dated.letter.dead_ms < now_ms - LATELY_MS:
                break
            counts[dated.letter.request.webhook_id or "-", reason_of(dated.letter)] += 1
            if time.monotonic() > until:
                more = "At least "
                break
    except StateError:
        return  # no job has run yet
    for (webhook, reason), number in counts.most_common(REASONS):
        is_record = webhook == "-"
        many = counted(number, "record" if is_record else "dead letter")
        which_ones = "that could not be read" if is_record else f"of {webhook}"
        words = f"{more}{many} {which_ones} in the last hour"
        short = reason if len(reason) <= 100 else f"{reason[:100]}…"
        which = {"webhook": webhook, "since": "1h"}
        if is_stable(reason):
            which["reason"] = reason
        yield Need("warn", words, "Show them", f"/dead-letters?{urlencode(which)}", short)
    if len(counts) > REASONS:
        rest = counts.total() - sum(number for _, number in counts.most_common(REASONS))
        yield Need(
            "warn",
            f"{more}{rest:,} more dead letters in the last hour",
            "Show them",
            "/dead-letters?since=1h",
        )


def is_stable(reason: str) -> bool:
    """Return whether a reason is one of a few fixed words (`status-400`), and quotes nothing."""
    return _STABLE.fullmatch(reason) is not None


def _at(webhook: str) -> str:
    return f"/webhooks/{quote(webhook, safe='')}"
