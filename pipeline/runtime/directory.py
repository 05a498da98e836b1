"""The state directory: who owns it, which version wrote it, for how many shards."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

import orjson

from pipeline.model.errors import StateError

FORMAT = 1
META = "hookline.json"


class StateDirectory:
    """A state directory owned by this process until it exits.

    shared: True for one of several processes of one job; they share the directory's lock, and each shard's
    own lock keeps them apart.

    Raises StateError where another job owns it, another version wrote it, or it cannot be written.
    """

    def __init__(self, path: Path, *, shards: int, shared: bool = False) -> None:
        self.path = path
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StateError(
                f"{path}: the state directory cannot be written ({error.strerror}). "
                "Fix its permissions, or name another one with --state."
            ) from error
        self._own(shared)
        self._check(shards)

    def close(self) -> None:
        """Release the directory."""
        os.close(self._lock)

    def _own(self, shared: bool) -> None:
        try:
            fcntl.flock(self._lock, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise
            raise StateError(
                f"{self.path} is in use by another job. Stop that job (`hookline status --state {self.path}` "
                "shows it), or give this one another --state."
            ) from error

    def _check(self, shards: int) -> None:
        meta = self.path / META
        if not meta.exists():
            partial = meta.with_suffix(f".{os.getpid()}.partial")
            partial.write_bytes(orjson.dumps({"format": FORMAT, "shards": shards}) + b"\n")
            partial.replace(meta)
            return
        try:
            found = orjson.loads(meta.read_bytes())
            known_format, known_shards = int(found["format"]), int(found["shards"])
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            raise StateError(f"{meta}: not readable as a state directory's description ({error})") from error
        if known_format != FORMAT:
            raise StateError(
                f"{self.path} is in format {known_format}, this version reads format {FORMAT}; run the "
                "version that wrote it, or start with an empty directory."
            )
        if known_shards != shards:
            raise StateError(
                f"{self.path} was made for {known_shards} shards, the config says {shards}. The number is "
                f"fixed for the life of a state directory: set `shards: {known_shards}`, or start with an "
                "empty one."
            )
