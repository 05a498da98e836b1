"""The console's one route table, and the right each route requires; anything else is refused."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from aiohttp import web

from pipeline.console import files
from pipeline.console.api import (
    kept,
    samples,
    tap,
    unsaved,
)
from pipeline.console.api import webhooks as hooks
from pipeline.console.context import RequestContext
from pipeline.console.pages import (
    audit,
    config,
    dead_letters,
    events,
    live,
    login,
    overview,
    pending,
    webhook,
    webhooks,
    work,
)
from pipeline.console.pages.editing import edit, trial
from pipeline.console.security.origin import SAFE
from pipeline.console.security.roles import CHANGING, Right

Handler = Callable[[RequestContext], Awaitable[web.StreamResponse]]


class Route(NamedTuple):
    """One line of the table."""

    method: str
    path: str
    right: Right | None
    """None: anybody, even without a session."""
    handler: Handler
    stream: bool = False
    """It streams: it has no time limit, and there may only be so many."""
    audited: bool = False
    """It gets an audit line; routes that need `operate` or `edit` and are not GET get one anyway."""

    @property
    def changes(self) -> bool:
        """Whether it may change something, so that it is refused while the audit log cannot be written."""
        return self.method not in SAFE and (self.audited or self.right in CHANGING)


ROUTES: Final[tuple[Route, ...]] = (
    Route("GET", "/static/{name}", None, files.serve),
    Route("GET", "/assets/{name}", None, files.serve),
    Route("GET", "/login", None, login.show),
    Route("POST", "/login", None, login.enter, audited=True),
    Route("POST", "/logout", "view", login.leave, audited=True),
    # pages/overview
    Route("GET", "/", "view", overview.show),
    # pages/webhooks
    Route("GET", "/webhooks", "view", webhooks.show),
    Route("POST", "/webhooks/orders", "operate", webhooks.orders),
    # pages/edit
    Route("GET", edit.NEW, "edit", edit.new),
    Route("POST", edit.NEW, "edit", edit.create),
    Route("GET", "/webhooks/{id}/edit", "edit", edit.edit),
    Route("POST", "/webhooks/{id}/edit", "edit", edit.change),
    Route("POST", "/webhooks/{id}/try", "edit", edit.tried),
    Route("GET", "/webhooks/{id}/saved", "edit", edit.saved),
    # pages/webhook
    Route("GET", "/webhooks/{id}", "view", webhook.show),
    Route("GET", "/webhooks/{id}/deliveries", "view", webhook.deliveries),
    Route("GET", "/webhooks/{id}/tests", "payloads", webhook.tests),
    Route("GET", "/webhooks/{id}/history", "view", webhook.history),
    Route("POST", "/webhooks/{id}/orders", "operate", webhook.give),
    Route("GET", "/webhooks/{id}/test", "operate", trial.show),
    Route("POST", "/webhooks/{id}/test", "operate", trial.act),
    Route("GET", "/webhooks/{id}/delete", "edit", webhook.ask_end),
    Route("POST", "/webhooks/{id}/delete", "edit", webhook.end),
    # pages/dead_letters
    Route("GET", "/dead-letters", "view", dead_letters.show),
    Route("GET", "/dead-letters/selection", "view", dead_letters.count),
    Route("POST", "/dead-letters/selection", "operate", dead_letters.change),
    Route("GET", "/dead-letters/export", "payloads", dead_letters.export, stream=True),
    Route("GET", "/dead-letters/{name}", "view", dead_letters.show_one),
    Route("POST", "/dead-letters/{name}", "operate", dead_letters.change_one),
    Route("GET", "/work/{id}", "view", work.show),
    Route("POST", "/work/{id}/stop", "operate", work.stop),
    # pages/pending
    Route("GET", "/pending", "view", pending.show),
    Route("POST", "/pending/send-now", "operate", pending.send_now),
    Route("GET", "/pending/selection", "view", pending.count),
    Route("POST", "/pending/selection", "operate", pending.change),
    # pages/events
    Route("GET", "/events", "view", events.show),
    Route("GET", "/events/users", "payloads", events.users),
    # pages/live
    Route("GET", "/live", "view", live.show),
    Route("GET", "/live/rows", "view", live.rows, stream=True),
    # pages/config, pages/audit
    Route("GET", "/config", "view", config.show),
    Route("GET", "/config/file", "view", config.file),
    Route("GET", "/api/v1/config", "view", config.show),
    Route("GET", "/audit", "view", audit.show),
    Route("GET", "/api/v1/audit", "view", audit.show),
    # api: webhooks
    Route("GET", "/api/v1/webhooks", "view", hooks.listed),
    Route("GET", "/api/v1/webhooks/{id}", "view", hooks.one),
    Route("PUT", "/api/v1/webhooks/{id}", "edit", hooks.put),
    Route("PATCH", "/api/v1/webhooks/{id}", "edit", hooks.patch),
    Route("DELETE", "/api/v1/webhooks/{id}", "edit", hooks.delete),
    # api: check, preview, complete, samples
    Route("POST", "/api/v1/check", "view", unsaved.check),
    Route("POST", "/api/v1/preview", "payloads", unsaved.preview),
    Route("POST", "/api/v1/would-fire", "view", unsaved.would_fire),
    Route("POST", "/api/v1/complete", "view", unsaved.complete),
    Route("GET", "/api/v1/schema/{name}", "view", unsaved.schema),
    Route("GET", "/api/v1/samples", "payloads", samples.samples),
    Route("GET", "/api/v1/catalog", "view", samples.catalog),
    Route("GET", "/api/v1/attempts", "view", samples.attempts),
    Route("POST", "/api/v1/webhooks/{id}/send-test", "operate", samples.send_test),
    Route("POST", "/api/v1/webhooks/{id}/{order}", "operate", hooks.order),
    # api: dead letters, outbox, status
    Route("GET", "/api/v1/status", "view", kept.status),
    Route("GET", "/api/v1/processes", "view", kept.processes),
    Route("GET", "/api/v1/dead-letters", "view", dead_letters.show),
    Route("GET", "/api/v1/dead-letters/{name}", "view", dead_letters.show_one),
    Route("POST", "/api/v1/dead-letters/replay", "operate", kept.replay),
    Route("POST", "/api/v1/dead-letters/purge", "operate", kept.purge),
    Route("GET", "/api/v1/outbox", "view", pending.show),
    Route("POST", "/api/v1/outbox/drop", "operate", kept.drop),
    Route("POST", "/api/v1/outbox/retry-now", "operate", kept.send_now),
    Route("POST", "/api/v1/webhooks/orders", "operate", kept.orders),
    Route("GET", "/api/v1/users/{id}", "payloads", kept.user),
    Route("GET", "/api/v1/work/{id}", "view", work.show),
    # api: tap
    Route("GET", "/api/v1/tap", "view", tap.tap, stream=True),
)
"""In matching order: fixed paths before ``{names}``."""
