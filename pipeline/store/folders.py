"""Where a state directory keeps its stores."""

from __future__ import annotations

from pathlib import Path

from pipeline.model.process.private import require_sight

SHARDS = "shards"
IDENTITY = "identity"
CONFIGURED = "webhooks.json"
"""Beside the config versions: the ids of the currently configured webhooks, a JSON list."""


def store_folders(state: Path) -> list[Path]:
    """Return the folders of all existing stores, in order.

    Only those of shards and identity keys, not those that `state rebuild` is still making, or was when it was
    killed. Raises ClosedState where this user may not look.
    """
    require_sight(state)
    found = [data.parent for folder in (IDENTITY, SHARDS) for data in state.glob(f"{folder}/*/data.mdb")]
    return sorted(found)


def shard_folder(state: Path, shard: int) -> Path:
    """Return where a shard's store is."""
    return state / SHARDS / f"{shard:03d}"


def identity_folder(state: Path, partition: str) -> Path:
    """Return where the store of a source partition's identity key is."""
    return state / IDENTITY / partition.replace("/", "_")


def configured_file(state: Path) -> Path:
    """Return where the configured webhooks are, and whether each is enabled."""
    return state / "versions" / CONFIGURED


def source_folder(state: Path, partition: str) -> Path:
    """Return where a source partition's config history is."""
    return state / "source" / partition.replace("/", "_")
