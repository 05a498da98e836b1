"""Commands on dead letters and pending requests: transitions of a shard, counted (DESIGN 6.8).

A running job is asked over its admin socket; for a stopped one, the request is left in the shard's folder
(`left_requests`) and executed at the next start. Executing a request twice does no harm.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from pipeline.job.left_requests import Action, left_for, read_left
from pipeline.job.steps.shard import Shard
from pipeline.language.work import widened
from pipeline.model.errors import RenderError
from pipeline.outbox.codec import DeadLetter, replay_key, unpack_dead
from pipeline.outbox.handover import Request
from pipeline.outbox.seen import event_and_user
from pipeline.store.rows import MAX_KEY, Table
from pipeline.telemetry import log

_log = log.get("commands")


def execute(shard: Shard, action: Action, keys: Sequence[bytes]) -> int:
    """Execute one request in the shard's open epoch; return how many of the keys it changed.

    replay, purge: keys of dead letters. drop: rows of the outbox. Malformed keys are ignored.
    """
    keys = [key for key in keys if 0 < len(key) <= MAX_KEY]
    if action == "drop":
        return shard.outbox.drop(list(keys))
    work: Callable[[Shard, DeadLetter], bool] = {"replay": replay, "purge": purge}[action]
    done = 0
    for key in keys:
        value = shard.store.get(Table.DEAD, key)
        if value is not None and work(shard, unpack_dead(value)):
            done += 1
    return done


def purge(shard: Shard, letter: DeadLetter) -> bool:
    """Delete a dead letter; it stays counted as dead."""
    shard.outbox.dead_letters.remove(letter)
    return True


def replay(shard: Shard, letter: DeadLetter) -> bool:
    """Owe a dead letter again, with its webhook-id; one that could not be rendered is rendered again.

    One that was too expensive is evaluated by the present config, with ten times the budget.
    """
    if letter.kind == "record":
        return False
    request = letter.request if letter.kind == "delivery" else _render(shard, letter)
    if request is None:
        return False
    again = msgspec.structs.replace(
        request, key=replay_key(letter.key, letter.dead_ms), created_ms=shard.clock(), replay=True
    )
    shard.outbox.replay(letter, again)
    return True


def _render(shard: Shard, letter: DeadLetter) -> Request | None:
    dead = letter.request
    versions = shard.versions
    webhook = versions.latest.by_id.get(dead.webhook_id)
    if webhook is None:
        _log.warning("its webhook is in the config no more", webhook=dead.webhook_id)
        return None
    event, user = event_and_user(letter)
    try:
        with widened():
            if letter.kind == "condition" and not webhook.trigger.holds(event, user):
                _log.warning("its conditions do not hold: nothing to send", webhook=dead.webhook_id)
                return None
            rendered = webhook.request.render(event, user)
    except RenderError as error:
        _log.warning("still cannot be rendered", webhook=dead.webhook_id, reason=str(error))
        return None
    return msgspec.structs.replace(
        dead,
        config=versions.latest.hash,
        method=rendered.method,
        url=rendered.url,
        headers=rendered.headers,
        body=rendered.body,
    )


def execute_left(shard: Shard) -> list[Path]:
    """Execute a shard's waiting requests; the files may go once the epoch is durable."""
    done = []
    for path in left_for(shard.store.path):
        action, keys = read_left(path)
        number = execute(shard, action, keys)
        _log.info("did what was left for the stopped job", action=action, number=number)
        done.append(path)
    return done
