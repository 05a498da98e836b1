"""Changing files of the config for who asks: within what they may write, with a line in the audit."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path

from aiohttp import web

from pipeline.console.context import Asked
from pipeline.console.security.audit import Action, keys_changed
from pipeline.model.errors import ConfigError, StateError
from pipeline.model.words import no_webhook
from pipeline.operate.cases import case_files
from pipeline.operate.cases.case_files import tests_of
from pipeline.operate.files.authors import overstepped
from pipeline.operate.files.edits import FileText, Saved, new_file, tag_of
from pipeline.outbox.reading.view import accounting


async def files(asked: Asked) -> dict[str, str]:
    """Return the file of each webhook by its name: its id, or the file where the id cannot be used."""
    return {str(one["id"]): str(one["file"]) for one in await asked.run(asked.console.workbench.webhooks)}


def file_of(webhook_id: str, known: Mapping[str, str]) -> str | None:
    """Return the file of a webhook, by its name or that of the file itself; None where there is none."""
    return webhook_id if webhook_id in known.values() else known.get(webhook_id)


async def known_id(asked: Asked, webhook_id: str) -> str:
    """Return the id of a webhook that is there and can be given orders. Raises HTTPNotFound."""
    known = await files(asked)
    if webhook_id not in known or known[webhook_id] == webhook_id:
        raise not_found(webhook_id, known)
    return webhook_id


def not_found(webhook_id: str, known: Collection[str]) -> web.HTTPNotFound:
    """Return what is said where there is no such webhook."""
    return web.HTTPNotFound(reason=no_webhook(webhook_id[:80], known).splitlines()[0])


async def read(asked: Asked, webhook_id: str, *, guess: bool = False) -> FileText:
    """Return a webhook's file, by its name or that of the file. Raises HTTPNotFound, ConfigError.

    guess: as in `edits.read`.
    """
    known = await files(asked)
    file = file_of(webhook_id, known)
    if file is None:
        raise not_found(webhook_id, known)
    return await asked.run(partial(asked.console.workbench.read, file, guess=guess))


def pending(state: Path, webhook_id: str) -> int:
    """Return how many deliveries a webhook owes; 0 where no job has run yet."""
    try:
        return accounting(state)["webhooks"].get(webhook_id, {}).get("pending", 0)
    except StateError:
        return 0


async def save(asked: Asked, file: str, text: str, etag: str, *, dry_run: bool = False) -> Saved:
    """Write a file that was read under this tag.

    Raises Changed where it is another one by now, and ConfigError with what would be wrong, or may not be
    written here; nothing is written then.
    """
    bench = asked.console.workbench
    before = await asked.run(partial(bench.read, file, guess=True))
    if dry_run:
        asked.unchanged()
    else:
        await _told(asked, "save", file, before.text, text, etag)
    await _require(asked, file, text)
    return await asked.run(bench.save, file, text, etag, dry_run=dry_run)


async def create(asked: Asked, webhook_id: str, text: str, *, dry_run: bool = False) -> Saved:
    """Write the file of a new webhook. Raises as `save` does; Changed where there is one of that name."""
    file = new_file(webhook_id)
    if dry_run:
        asked.unchanged()
    else:
        await _told(asked, "create", file, "", text, "")
    await _require(asked, file, text)
    return await asked.run(asked.console.workbench.create, webhook_id, text, dry_run=dry_run)


async def remove(asked: Asked, file: str, etag: str, *, dry_run: bool = False) -> Saved:
    """Delete a file that was read under this tag. Raises as `save` does."""
    if dry_run:
        asked.unchanged()
    else:
        asked.audit("delete", file, before=etag)
    return await asked.run(asked.console.workbench.remove, file, etag, dry_run=dry_run)


async def remove_tests(asked: Asked, file: str) -> list[str]:
    """Delete the tests beside a webhook's file; return their names."""
    config = asked.console.options.config
    for name in await asked.run(tests_of, config, file):
        asked.audit("delete", name)
    return await asked.run(case_files.remove_tests, config, file)


async def _told(asked: Asked, action: Action, file: str, before: str, after: str, etag: str) -> None:
    keys = await asked.run(keys_changed, before, after)
    asked.audit(action, file, before=etag, after=tag_of(after), keys=keys)


async def _require(asked: Asked, file: str, text: str) -> None:
    """Raise ConfigError where who asks may not write this."""
    options = asked.console.options
    found = await asked.run(overstepped, options.config, {file: text}, options.authors)
    if found:
        raise ConfigError(found, root=str(options.config))
