"""Config versions that this process knows, by hash: each event runs under exactly one of them.

A version's text is on disk before its first chunk, so that a crash can replay a stretch under the
versions it ran under before; it also travels in-band to other processes (DESIGN 2, Config).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

from pipeline.config.files import ConfigText
from pipeline.deliver.spec import LaneSpec
from pipeline.model.errors import StateError
from pipeline.snapshot import Snapshot, compile_config
from pipeline.telemetry import log

KEEP = 200
"""Texts kept on disk; older ones are deleted at start."""

_log = log.get("config")


class Versions:
    """The compiled versions of this process.

    on_specs: called with the lane settings of every webhook known so far, whenever they change.
    """

    def __init__(
        self, folder: Path, latest: Snapshot, on_specs: Callable[[dict[str, LaneSpec]], None]
    ) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._compiled: dict[str, Snapshot] = {}
        self.specs: dict[str, LaneSpec] = {}
        """The newest lane settings of every webhook that any known version has."""
        self._on_specs = on_specs
        folder.mkdir(parents=True, exist_ok=True)
        # Rows of a webhook that is gone are still sent as its last version said.
        for text in self._stored():
            if text.hash != latest.hash:
                self._learn(text)
        self.latest = latest
        self.install(latest)

    def install(self, snapshot: Snapshot) -> None:
        """Make a version the latest one; its text is on disk when this returns."""
        with self._lock:
            self._save(snapshot.text)
            self._compiled[snapshot.hash] = snapshot
            self.latest = snapshot
            self._announce(snapshot)

    def get(self, version: str, text: bytes | None = None) -> Snapshot:
        """Return a compiled version; ``text`` is what came in-band, in case it is not known here yet.

        Raises StateError where neither memory, ``text`` nor the state directory has it.
        """
        found = self._compiled.get(version)
        if found is not None:
            return found
        with self._lock:
            if text is None:
                try:
                    text = self._path(version).read_bytes()
                except OSError as error:
                    raise StateError(
                        f"config version {version[:12]} is not in {self._folder}: the state directory is "
                        "incomplete. Restore it as a whole, or start with an empty one."
                    ) from error
            config = ConfigText.from_bytes(text)
            snapshot = compile_config(config, secrets=None).snapshot
            if snapshot is None:
                raise StateError(f"config version {version[:12]} was written by another version of Hookline.")
            self._save(config)
            self._compiled[version] = snapshot
            return snapshot

    def _learn(self, text: ConfigText) -> None:
        report = compile_config(text, secrets=None)
        if report.snapshot is None:
            _log.warning("old config version is not understood any more", version=text.hash)
            return
        self._compiled[text.hash] = report.snapshot
        self.specs.update({webhook.id: webhook.spec for webhook in report.snapshot.webhooks})

    def _announce(self, snapshot: Snapshot) -> None:
        self.specs = self.specs | {webhook.id: webhook.spec for webhook in snapshot.webhooks}
        self._on_specs(self.specs)

    def _stored(self) -> list[ConfigText]:
        paths = sorted(self._folder.glob("*.config"), key=lambda path: path.stat().st_mtime_ns)
        for path in paths[:-KEEP]:
            path.unlink()
        return [ConfigText.from_bytes(path.read_bytes()) for path in paths[-KEEP:]]

    def _save(self, text: ConfigText) -> None:
        path = self._path(text.hash)
        partial = path.with_suffix(f".{os.getpid()}.partial")
        with partial.open("wb") as file:
            file.write(text.to_bytes())
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)

    def _path(self, version: str) -> Path:
        return self._folder / f"{version}.config"
