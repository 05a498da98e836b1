"""What several pages start with: the state of the job, and one row per webhook."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from pipeline.console.context import Console, RequestContext
from pipeline.model.errors import ConfigError, HooklineError
from pipeline.model.json import Value
from pipeline.operate.overview.rows import WebhookRow, rows
from pipeline.operate.overview.sampler import STEP_SECS
from pipeline.operate.overview.standing import Standing, standing
from pipeline.telemetry import log

_log = log.get("console")


class Glance(NamedTuple):
    """A job and its webhooks, now."""

    stands: Standing
    rows: list[WebhookRow]
    listed: list[Value]
    """The webhooks as in the files (`Workbench.webhooks`)."""
    problem: ConfigError | None
    """Why the files cannot be read at all."""

    @property
    def ages(self) -> dict[str, float]:
        """The maximum age, in seconds, of a delivery of each webhook in the config."""
        return {
            str(one["id"]): one["max_age_secs"] for one in self.listed if one.get("max_age_secs") is not None
        }

    @property
    def owed(self) -> dict[str, int]:
        """The number of pending requests per webhook."""
        return {name: counts["pending"] for name, counts in self.stands.webhooks.items()}


async def glance(context: RequestContext) -> Glance:
    """Return the present state, from the job if it runs, else from its stores. Raises StateError."""
    console = context.console
    stands = await context.run(standing, console.state, await console.job())
    listed: list[Value] = []
    problem = None
    try:
        listed = await context.run(console.workbench.webhooks)
    except ConfigError as error:
        problem = error
    return Glance(stands, rows(listed, stands, console.sampler), listed, problem)


async def sample(console: Console) -> None:
    """Look at the job every few seconds, so that the pages know the last hour."""
    state, told = console.state, ""
    while True:
        try:
            stands = await asyncio.to_thread(standing, state, await console.job())
            console.sampler.take(stands.webhooks, stands.records.get("read", 0))
            told = ""
        except HooklineError as error:  # a damaged store: the pages that read it report it, too
            if str(error) != told:
                told = str(error)
                _log.warning("the job cannot be looked at", reason=told)
        await asyncio.sleep(STEP_SECS)
