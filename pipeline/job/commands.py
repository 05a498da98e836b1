"""Commands on dead letters and pending requests: transitions of a shard, counted (DESIGN 6.8).

A running job is asked over its admin socket; for a stopped one, the request is left in the shard's folder and
executed at the next start. Executing a request twice does no harm.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, TypeAlias, get_args
from zlib import crc32

import msgspec
import orjson

from pipeline.job.steps.shard import Shard
from pipeline.language.work import widened
from pipeline.model.disk import make_folder, replace_durably
from pipeline.model.errors import RenderError, StateError
from pipeline.outbox.codec import DeadLetter, replay_key, unpack_dead
from pipeline.outbox.handover import Request
from pipeline.outbox.seen import event_and_user
from pipeline.store.rows import MAX_KEY, Table
from pipeline.telemetry import log

Action: TypeAlias = Literal["replay", "purge", "drop"]

FOLDER = "commands"
"""Where requests for a stopped job wait, in the shard's folder."""

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


# --- for a job that is stopped


def leave(shard_folder: Path, action: Action, keys: Sequence[bytes]) -> None:
    """Leave a request for the shard's next start; it is on disk when this returns."""
    folder = shard_folder / FOLDER
    make_folder(folder)
    request = orjson.dumps({"action": action, "keys": [key.hex() for key in keys]})
    replace_durably(folder / f"{time.time_ns()}-{os.getpid()}-{crc32(request):08x}.json", request)


def left_for(shard_folder: Path) -> list[Path]:
    """Return the files of the requests that wait for a shard's next start, in order."""
    return sorted((shard_folder / FOLDER).glob("*.json"))


def read_left(path: Path) -> tuple[Action, list[bytes]]:
    """Return a waiting request. Raises StateError where its file is damaged."""
    try:
        text = path.read_bytes()
        # Older versions have no checksum in the name.
        if path.stem.split("-")[2:] not in ([], [f"{crc32(text):08x}"]):
            raise ValueError("its checksum is another one")
        request = orjson.loads(text)
        if request["action"] not in get_args(Action):
            raise ValueError("no action that is known")
        return request["action"], [bytes.fromhex(key) for key in request["keys"]]
    except (KeyError, TypeError, ValueError) as error:
        raise StateError(
            f"{path}: damaged ({error}); it was left by `hookline dlq` or `outbox` for this start. Remove "
            "the file and give the command again."
        ) from error


def execute_left(shard: Shard) -> list[Path]:
    """Execute a shard's waiting requests; the files may go once the epoch is durable."""
    done = []
    for path in left_for(shard.store.path):
        action, keys = read_left(path)
        number = execute(shard, action, keys)
        _log.info("did what was left for the stopped job", action=action, number=number)
        done.append(path)
    return done
