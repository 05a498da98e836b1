"""Where the stores of a state directory are."""

from __future__ import annotations

import os
from pathlib import Path


def shard_folder(state: Path, shard: int) -> Path:
    """Return where a shard's store is."""
    return state / "shards" / f"{shard:03d}"


def identity_folder(state: Path, partition: str) -> Path:
    """Return where the store of a source partition's identity key is."""
    return state / "identity" / partition.replace("/", "_")


def source_folder(state: Path, partition: str) -> Path:
    """Return where a source partition's config history is."""
    return state / "source" / partition.replace("/", "_")


def sync_folder(folder: Path) -> None:
    """Return when the folder's entries are on disk: files made there or renamed outlive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
