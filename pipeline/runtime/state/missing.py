"""What a state directory has lost whole: reading the rest does not show it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, TypeAlias

from pipeline.model.errors import HooklineError
from pipeline.model.process.private import require_sight
from pipeline.runtime.state.recovery import committed, last_workers, read_tokens
from pipeline.store.environment import ONE_BACKUP
from pipeline.store.folders import identity_folder, shard_folder

Tokens: TypeAlias = dict[str, dict[str, Any]]
"""By step and key."""

GONE: Final = (
    "the store's files are gone, and what it counted and owed with them. `hookline state rebuild` makes its "
    "users and links anew from the source; or restore the whole state directory from one backup."
)


def epochs(state: Path, tokens: Tokens) -> dict[Path, list[Any]]:
    """Return the epoch of every store in the recovery store: its number, and who committed it."""
    shards = {shard_folder(state, of): epoch for _, of, *epoch in tokens.get("shard", {}).values()}
    names = {identity_folder(state, of): epoch for _, of, *epoch in tokens.get("identity", {}).values() if of}
    return shards | names


def missing(state: Path) -> list[str]:
    """Return what of a state directory is gone, a sentence each with its remedy.

    A failed start leaves an empty store where one was; of a directory without a job yet nothing is missing.
    Of several workers, a store whose folder is not here may be on another host. Reads no rows; what
    cannot be read in the recovery store is told here, too. Raises StateError for a damaged store, ClosedState
    where this user may not look.
    """
    require_sight(state)
    folder = state / "recovery"
    if not any(folder.glob("part-*.sqlite3")):
        is_new = not any(number for _, number in committed(state))
        return [] if is_new else [f"{folder}: the recovery store is gone. {ONE_BACKUP}"]
    try:
        known, is_whole = epochs(state, read_tokens(folder)), last_workers(folder) <= 1
    except HooklineError as error:
        return [str(error)]
    found = dict(committed(state))  # after the tokens: a running job writes its first epoch here, then there
    return [
        f"{path}: {GONE}"
        for path in sorted(known)
        if known[path][0] and not found.get(path) and (is_whole or path.exists())
    ]
