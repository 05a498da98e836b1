"""The first page: the state of the job, and what needs attention."""

from __future__ import annotations

from dataclasses import replace

from aiohttp import web

from pipeline.console.context import RequestContext
from pipeline.console.glance import glance
from pipeline.console.redaction import redacted_reason
from pipeline.console.render import data, page
from pipeline.model.errors import ConfigError
from pipeline.operate.overview.needs import Need, needs
from pipeline.operate.overview.sampler import READ, spark
from pipeline.operate.unsaved.environment import SecretState


async def show(context: RequestContext) -> web.StreamResponse:
    """Return the overview."""
    console = context.console
    seen = await glance(context)
    found = await context.run(needs, console.state, seen.stands, seen.rows, await _unset(context))
    found = [
        replace(one, detail=redacted_reason(context, one.detail)) if one.detail else one for one in found
    ]
    if seen.problem is not None:
        found.insert(0, Need("bad", "The config cannot be read", "See what is wrong", "/config"))
    if not seen.stands.running:
        words = "No job is running: nothing is read or sent. Start one with `hookline run --follow`"
        found.insert(0, Need("warn", words, "See what is pending", "/pending"))
    totals = seen.stands.totals
    if context.wants_json:
        return data(
            {
                "running": seen.stands.running,
                "records": seen.stands.records,
                "totals": totals,
                "balances": not seen.stands.unbalanced,
                "needs": [one.to_json() for one in found],
                "webhooks": len(seen.rows),
            }
        )
    sampler = console.sampler
    busy = sorted(seen.rows, key=lambda row: (row.matched_rate or 0.0, row.matched), reverse=True)[:5]
    return await page(
        context,
        "overview.html",
        stands=seen.stands,
        totals=totals,
        needs=found,
        rows=seen.rows,
        busy=busy,
        sampler=sampler,
        read_rate=sampler.rate(READ, "read"),
        read_spark=spark(sampler.lately(READ, "read")),
        sparks={row.id: spark(sampler.lately(row.id, "matched")) for row in busy},
    )


async def _unset(context: RequestContext) -> list[SecretState]:
    """Return the secrets and settings that have no value, and are wanted."""
    try:
        known = await context.run(context.console.workbench.secrets)
    except ConfigError:
        return []
    return [one for one in known if not one.is_set and not one.has_default]
