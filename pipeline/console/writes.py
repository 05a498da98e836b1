"""Changing files of the config for who asks: within what they may write, with a line in the audit."""

from __future__ import annotations

from pipeline.console.context import Asked
from pipeline.console.security.audit import Action, keys_changed
from pipeline.model.errors import ConfigError
from pipeline.operate.authors import overstepped
from pipeline.operate.edits import Saved, tag_of


async def save(asked: Asked, file: str, text: str, etag: str) -> Saved:
    """Write a file that was read under this tag.

    Raises Changed where it is another one by now, and ConfigError with what would be wrong, or may not be
    written here; nothing is written then.
    """
    bench = asked.console.workbench
    before = await asked.run(bench.read, file)
    _told(asked, "save", file, before.text, text, etag)
    await _require(asked, file, text)
    return await asked.run(bench.save, file, text, etag)


async def create(asked: Asked, webhook_id: str, text: str) -> Saved:
    """Write the file of a new webhook. Raises as `save` does; Changed where there is one of that name."""
    file = f"webhooks/{webhook_id}.yaml"
    _told(asked, "create", file, "", text, "")
    await _require(asked, file, text)
    return await asked.run(asked.console.workbench.create, webhook_id, text)


async def remove(asked: Asked, file: str, etag: str) -> Saved:
    """Delete a file that was read under this tag. Raises as `save` does."""
    asked.audit("delete", file, before=etag)
    return await asked.run(asked.console.workbench.remove, file, etag)


def _told(asked: Asked, action: Action, file: str, before: str, after: str, etag: str) -> None:
    asked.audit(action, file, before=etag, after=tag_of(after), keys=keys_changed(before, after))


async def _require(asked: Asked, file: str, text: str) -> None:
    """Raise ConfigError where who asks may not write this."""
    options = asked.console.options
    found = await asked.run(overstepped, options.config, {file: text}, options.authors)
    if found:
        raise ConfigError(found, root=str(options.config))
