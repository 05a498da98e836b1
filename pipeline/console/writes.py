"""Changes config files on behalf of a viewer: within what they may write, with a line in the audit log."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from aiohttp import web

from pipeline.console.context import RequestContext
from pipeline.console.security.audit import Action, keys_changed
from pipeline.model.errors import ConfigError, StateError
from pipeline.model.words import no_webhook
from pipeline.operate.cases import case_files
from pipeline.operate.cases.case_files import tests_of
from pipeline.operate.files.authors import overstepped
from pipeline.operate.files.edits import FileText, Saved, new_file, tag_of
from pipeline.outbox.reading.view import accounting


async def files(context: RequestContext) -> dict[str, str]:
    """Return the file of each webhook by its name: its id, or the file where the id is unusable."""
    return {str(one["id"]): str(one["file"]) for one in await context.run(context.console.workbench.webhooks)}


def file_of(webhook_id: str, known: Mapping[str, str]) -> str | None:
    """Return the file of a webhook, by its name or that of the file itself; None where there is none."""
    return webhook_id if webhook_id in known.values() else known.get(webhook_id)


async def known_id(context: RequestContext, webhook_id: str) -> str:
    """Return the id of an existing webhook that can be given orders. Raises HTTPNotFound."""
    known = await files(context)
    if webhook_id not in known or known[webhook_id] == webhook_id:
        raise not_found(webhook_id, known)
    return webhook_id


def not_found(webhook_id: str, known: Collection[str]) -> web.HTTPNotFound:
    """Return the error for an unknown webhook."""
    return web.HTTPNotFound(reason=no_webhook(webhook_id[:80], known).splitlines()[0])


async def read(context: RequestContext, webhook_id: str, *, guess: bool = False) -> FileText:
    """Return a webhook's file, by its name or that of the file. Raises HTTPNotFound, ConfigError.

    guess: as in `edits.read`.
    """
    known = await files(context)
    file = file_of(webhook_id, known)
    if file is None:
        raise not_found(webhook_id, known)
    return await context.run(context.console.workbench.read, file, guess=guess)


def pending(state: Path, webhook_id: str) -> int:
    """Return how many deliveries a webhook owes; 0 where no job has run yet."""
    try:
        return accounting(state)["webhooks"].get(webhook_id, {}).get("pending", 0)
    except StateError:
        return 0


async def save(context: RequestContext, file: str, text: str, etag: str, *, dry_run: bool = False) -> Saved:
    """Write a file that was read under this tag.

    Raises Changed where it has changed since, and ConfigError with new errors or for what may not be written
    here; nothing is written then.
    """
    bench = context.console.workbench
    before = await context.run(bench.read, file, guess=True)
    await _told(context, "save", file, before.text, text, etag, dry_run=dry_run)
    return await context.run(bench.save, file, text, etag, dry_run=dry_run)


async def create(context: RequestContext, webhook_id: str, text: str, *, dry_run: bool = False) -> Saved:
    """Write the file of a new webhook. Raises as `save` does; Changed where it already exists."""
    file = new_file(webhook_id)
    await _told(context, "create", file, "", text, "", dry_run=dry_run)
    return await context.run(context.console.workbench.create, webhook_id, text, dry_run=dry_run)


async def remove(context: RequestContext, file: str, etag: str, *, dry_run: bool = False) -> Saved:
    """Delete a file that was read under this tag. Raises as `save` does."""
    if dry_run:
        context.unchanged()
    else:
        context.audit("delete", file, before=etag)
    return await context.run(context.console.workbench.remove, file, etag, dry_run=dry_run)


async def remove_tests(context: RequestContext, file: str) -> list[str]:
    """Delete the tests beside a webhook's file; return their names."""
    config = context.console.config
    for name in await context.run(tests_of, config, file):
        context.audit("delete", name)
    return await context.run(case_files.remove_tests, config, file)


async def _told(
    context: RequestContext, action: Action, file: str, before: str, after: str, etag: str, *, dry_run: bool
) -> None:
    """Audit what is about to be written. Raises ConfigError where the viewer may not write it."""
    if dry_run:
        context.unchanged()
    else:
        keys = await context.run(keys_changed, before, after)
        context.audit(action, file, before=etag, after=tag_of(after), keys=keys)
    await require_allowed(context, {file: after})


async def require_allowed(
    context: RequestContext, files: Mapping[str, str], *, sending: bool = False
) -> None:
    """Raise ConfigError where the viewer may not write these texts, or send what they say."""
    console = context.console
    secrets = console.section.secrets
    found = await context.run(overstepped, console.config, files, secrets, sending=sending)
    if found:
        raise ConfigError(found, root=str(console.config))
