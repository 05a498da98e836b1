"""Commands to a running job: each answers once the change it makes is committed."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from functools import partial

from pipeline.admin.routes import Route
from pipeline.deliver.halts import LEADS_TO, Order, halted
from pipeline.job.assembly import Job
from pipeline.job.commands import execute
from pipeline.job.left_requests import Action
from pipeline.job.steps.shard import Shard
from pipeline.model.errors import Fatal, HooklineError, Refused, StateError, UsageError
from pipeline.model.words import no_webhook
from pipeline.store.rows import MAX_KEY

ANSWER_SECS = 30.0
"""How long a command may wait for its epoch."""

LET_GO_SECS = 10.0
"""How long dropped requests may still be in the engine's hands because they are just being sent; after that
the command is answered, and they are dropped when the attempt ends."""


def command_routes(job: Job) -> list[Route]:
    """Return the commands of one process of a job; only its owner may use them."""
    commands = Commands(job)
    return [
        Route("dlq-replay", lambda keys: commands.on_shards("replay", keys)),
        Route("dlq-purge", lambda keys: commands.on_shards("purge", keys)),
        Route("outbox-drop", lambda keys: commands.on_shards("drop", keys)),
        Route("outbox-retry-now", commands.retry_now),
        Route("webhook-order", commands.order),
    ]


def _keys(given: Sequence[str]) -> list[bytes]:
    """Return the row keys that a request gives in hex. Raises UsageError for an invalid one."""
    try:
        keys = [bytes.fromhex(key) for key in given]
    except (TypeError, ValueError):
        raise UsageError("keys are given in hex") from None
    if not all(0 < len(key) <= MAX_KEY for key in keys):
        raise UsageError(f"a key has 1 to {MAX_KEY} bytes")
    return keys


class Commands:
    """The commands; every method may be called by any thread."""

    def __init__(self, job: Job) -> None:
        self._job = job

    def on_shards(self, action: Action, keys: Sequence[str]) -> int:
        """Change rows of this process's shards, by their keys in hex; return how many were changed."""
        wanted = _keys(keys)
        done = threading.Semaphore(0)
        numbers: list[int] = []
        failures: list[Exception] = []
        until = time.monotonic() + LET_GO_SECS

        def ask(shard: Shard) -> None:
            try:
                numbers.append(execute(shard, action, wanted))
            except (Fatal, StateError, OSError):
                raise  # the shard itself cannot go on
            except Exception as error:  # it is answered; a command must not end the job
                failures.append(error)
            shard.after_commit.append(partial(committed, shard))

        def committed(shard: Shard) -> None:
            # The engine releases dropped requests first: a later commit includes them.
            if shard.outbox.lets_go(wanted) and time.monotonic() < until:
                shard.after_commit.append(partial(committed, shard))
            else:
                done.release()

        self._wait_for_shards()
        for _ in range(self._job.shards.ask(ask)):
            if not done.acquire(timeout=ANSWER_SECS):
                raise HooklineError("the job did not commit in time; ask `hookline status` what became of it")
        if failures:
            raise HooklineError(f"the command failed: {failures[0]!r}"[:500]) from failures[0]
        return sum(numbers)

    def retry_now(self, webhook: str) -> int:
        """Make everything pending for the webhook due now. Raises Refused where nothing is sent to it."""
        self._known(webhook)
        halt, _ = self._job.halts.get(webhook)
        if halt is not None:
            raise Refused(halted(webhook, halt))
        self._wait_for_shards()
        self._job.engine.orders.retry_now(webhook)
        return 1

    def order(self, order: Order, webhooks: Sequence[str]) -> dict[str, str]:
        """Halt or resume webhooks; return why not, for those under another halt.

        Raises UsageError, before anything is changed, for an unknown order or webhook.
        """
        orders = self._job.engine.orders
        if order not in LEADS_TO:
            raise UsageError(f"`{order}` is not an order; there are {', '.join(LEADS_TO)}")
        for webhook in webhooks:
            self._known(webhook)
        refused: dict[str, str] = {}
        for webhook in webhooks:
            try:
                self._job.halts.obey(webhook, order)
                orders.obey(webhook, order)
            except Refused as error:
                refused[webhook] = str(error)
        return refused

    def _wait_for_shards(self) -> None:
        """Wait until this process's shards are open: a job that has just started knows no rows."""
        wanted = self._job.settings.shards if self._job.peers is None else 1
        deadline = time.monotonic() + ANSWER_SECS
        while len(self._job.shards) < wanted:
            if time.monotonic() > deadline:
                raise HooklineError("the job has not opened its state yet; ask again later")
            time.sleep(0.02)

    def _known(self, webhook: str) -> None:
        versions = self._job.versions
        if webhook not in versions.specs:
            # It may be in no config any more, and forgotten here while another process owes something of it.
            versions.learn((webhook,))
        if webhook not in versions.specs:
            raise UsageError(no_webhook(webhook, versions.specs))
