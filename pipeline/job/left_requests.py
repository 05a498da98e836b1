"""Requests for a stopped job, about dead letters and what is owed: files in its shards' folders."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypeAlias, get_args
from zlib import crc32

import orjson

from pipeline.model.errors import StateError
from pipeline.model.files.disk import make_folder, replace_durably

Action: TypeAlias = Literal["replay", "purge", "drop"]

FOLDER = "commands"
"""Where they wait, in the shard's folder."""


def leave(shard_folder: Path, action: Action, keys: Sequence[bytes]) -> Path:
    """Leave a request for the shard's next start, on disk when this returns; return its file."""
    folder = shard_folder / FOLDER
    make_folder(folder)
    request = orjson.dumps({"action": action, "keys": [key.hex() for key in keys]})
    path = folder / f"{time.time_ns()}-{os.getpid()}-{crc32(request):08x}.json"
    replace_durably(path, request)
    return path


def left_for(shard_folder: Path) -> list[Path]:
    """Return the files of the requests that wait for a shard's next start, in order."""
    return sorted((shard_folder / FOLDER).glob("*.json"))


def read_left(path: Path) -> tuple[Action, list[bytes]]:
    """Return a waiting request. Raises StateError where its file is damaged."""
    try:
        text = path.read_bytes()
        # Older versions have no checksum in the name.
        if path.stem.split("-")[2:] not in ([], [f"{crc32(text):08x}"]):
            raise ValueError("its checksum is another one")
        request = orjson.loads(text)
        if request["action"] not in get_args(Action):
            raise ValueError("no action that is known")
        return request["action"], [bytes.fromhex(key) for key in request["keys"]]
    except (KeyError, TypeError, ValueError) as error:
        raise StateError(
            f"{path}: damaged ({error}); it was left by `hookline dlq` or `outbox` for this start. Remove "
            "the file and give the command again."
        ) from error


def waiting_requests(state: Path) -> dict[Action, int]:
    """Return how many rows each action names that waits for the next start; damaged files are left out."""
    named: dict[Action, set[tuple[Path, bytes]]] = {}
    for folder in sorted(state.glob("shards/*")):
        for path in left_for(folder):
            with contextlib.suppress(StateError, FileNotFoundError):
                action, keys = read_left(path)
                named.setdefault(action, set()).update((folder, key) for key in keys)
    return {action: len(rows) for action, rows in named.items()}
