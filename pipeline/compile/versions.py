"""The config versions that this process knows, by hash: each event runs under exactly one of them.

A version's text is on disk before its first chunk, so that after a crash a stretch can be replayed under the
versions it ran under before; it also travels in-band to other processes (DESIGN 2, Config). Compiled versions
are kept only for the few in use, as each takes megabytes with hundreds of webhooks; an older one is
recompiled from its text. A text written by this run is deleted once nothing names it: no source partition's
history, no webhook missing from newer versions, and not the last `RECENT` edits.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Collection, Iterator
from hashlib import blake2b
from pathlib import Path

import orjson

from pipeline.compile.snapshot import Snapshot, compile_config
from pipeline.config.files import ConfigText
from pipeline.deliver.requests.spec import LaneSpec
from pipeline.model.errors import StateError
from pipeline.model.files.disk import holding, make_folder, replace_durably
from pipeline.store.folders import CONFIGURED
from pipeline.telemetry import log

KEEP = 200
"""Texts kept on disk; older ones are deleted at start."""
RECENT = 20
"""Texts of this run that are kept although nothing names them."""
LOCK = "lock"
"""Held by the process of the job that deletes texts, or makes sure that one exists."""
COMPILED = 4
"""Compiled versions kept in memory."""

_log = log.get("config")


class Versions:
    """The compiled versions of this process.

    on_specs: called with the lane settings of every known webhook, whenever they change. fires: returns
    whether a webhook takes part in this job.
    """

    def __init__(
        self,
        folder: Path,
        latest: Snapshot,
        on_specs: Callable[[dict[str, LaneSpec]], None],
        fires: Callable[[str], bool] = lambda webhook_id: True,
    ) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._compiled: dict[str, Snapshot] = {}
        self.specs: dict[str, LaneSpec] = {}
        """The newest lane settings of every webhook in any known version."""
        self._on_specs = on_specs
        self._fires = fires
        self.configured: tuple[str, ...] = ()
        """The ids of the latest version's webhooks that take part."""
        self._sought: set[str] = set()
        """Webhooks that were searched in the stored versions."""
        self._newest: dict[str, str] = {}
        """The newest version of each webhook, known or forgotten: other processes of the job, whose stores
        are not read here, may still owe something of it."""
        self._entered: dict[str, str] = {}
        """The version under which each source partition of this process reads its next line."""
        self.gone: frozenset[str] = frozenset()
        """Webhooks whose settings are known although the latest version lacks them."""
        self._written: dict[str, None] = {}
        """Versions whose texts this run wrote and has not deleted, oldest first."""
        make_folder(folder)
        for path in self._paths()[KEEP:]:
            path.unlink(missing_ok=True)
        self.install(latest)

    def install(self, snapshot: Snapshot) -> None:
        """Make a version the latest one; its text is on disk when this returns."""
        with self._lock:
            self._save(snapshot.text)
            enabled = {one.id: one.enabled for one in snapshot.webhooks if self._fires(one.id)}
            self.configured = tuple(enabled)
            # For questions about a stopped job's webhooks: those without a match are in no store.
            replace_durably(self._folder / CONFIGURED, orjson.dumps(enabled))
            self.latest = snapshot
            self._keep(snapshot)
            self._newest |= {webhook.id: snapshot.hash for webhook in snapshot.webhooks}
            self._know(self.specs | {webhook.id: webhook.spec for webhook in snapshot.webhooks})
            self._on_specs(self.specs)
            self._drop_texts()

    def enter(self, partition: str, version: str) -> None:
        """A source partition runs under this version from its next line on."""
        self._entered[partition] = version

    @property
    def in_use(self) -> str:
        """The hash of the version under which records are now read in this process.

        The latest one only once every source partition has switched to it, at its next epoch.
        """
        latest = self.latest.hash
        return next((one for one in list(self._entered.values()) if one != latest), latest)

    def get(self, version: str, text: bytes | None = None) -> Snapshot:
        """Return a compiled version; ``text`` is what came in-band, in case it is not known here yet.

        Raises StateError where neither memory, ``text`` nor the state directory has it.
        """
        latest = self.latest
        if latest.hash == version:
            return latest
        with self._lock:
            found = self._compiled.get(version)
            if found is not None:
                self._keep(found)
                if not found.by_id.keys() <= self.specs.keys():
                    self._add(found, found.by_id.keys())  # it is forgotten here, but matches elsewhere
                return found
            if text is None:
                try:
                    text = read_text(self._path(version))
                except OSError as error:
                    raise StateError(
                        f"config version {version[:12]} is not in {self._folder}: the state directory is "
                        "incomplete. Restore it as a whole, or start with an empty one."
                    ) from error
            config = ConfigText.from_bytes(text)
            snapshot = compile_config(config, secrets=None, stored=True).snapshot
            if snapshot is None:
                raise StateError(f"config version {version[:12]} was written by another version of Hookline.")
            self._save(config)
            self._keep(snapshot)
            # What matches now must be sent now. For webhooks known here this process's own files decide.
            self._add(snapshot, {webhook.id for webhook in snapshot.webhooks})
            return snapshot

    def named(self, version: str) -> None:
        """A source partition's history on disk now names this version: make sure that its text exists.

        Another process of the job, unaware of that, may just have deleted it.
        """
        with self._lock, holding(self._folder / LOCK, math.inf):
            snapshot = self._compiled.get(version)
            if snapshot is not None and not self._path(version).exists():
                self._save(snapshot.text)

    def learn(self, webhook_ids: Collection[str]) -> None:
        """Find the lane settings of webhooks that no config names any more, in their last version.

        What they owe is still sent. Stored versions are compiled, newest first, until all are found.
        """
        with self._lock:
            missing = set(webhook_ids) - self.specs.keys() - self._sought
            self._sought |= missing
            for text in self._stored() if missing else ():
                if not any(name in file for name in missing for file in text.files.values()):
                    continue
                snapshot = self._compiled.get(text.hash)
                snapshot = snapshot or compile_config(text, secrets=None, stored=True).snapshot
                if snapshot is None:
                    _log.warning("old config version is not understood any more", version=text.hash)
                    continue
                missing -= self._add(snapshot, missing)
                if not missing:
                    return

    def forget(self, webhook_ids: Collection[str], tell: Callable[[Collection[str]], None]) -> None:
        """Forget webhooks of which nothing is owed or dead here; `learn` finds them again, as at a start.

        Their last text stays on disk. tell: called with those forgotten, before one can be learnt again.
        """
        with self._lock:
            leaving = self.gone.intersection(webhook_ids)
            if leaving:
                self._sought -= leaving
                self._know({name: spec for name, spec in self.specs.items() if name not in leaving})
                tell(leaving)

    def _know(self, specs: dict[str, LaneSpec]) -> None:
        self.specs = specs
        self.gone = frozenset(specs.keys() - self.latest.by_id.keys())

    def _add(self, snapshot: Snapshot, webhook_ids: Collection[str]) -> set[str]:
        """Add the settings of those webhooks that are not known yet; return which."""
        found = {
            webhook.id: webhook.spec
            for webhook in snapshot.webhooks
            if webhook.id in webhook_ids and webhook.id not in self.specs
        }
        if found:
            self._newest |= dict.fromkeys(found, snapshot.hash)
            self._know(self.specs | found)
            self._on_specs(found)
        return set(found)

    def _keep(self, snapshot: Snapshot) -> None:
        """Cache a compiled version as most recently used; drop the least recently used."""
        self._compiled.pop(snapshot.hash, None)
        self._compiled[snapshot.hash] = snapshot
        for version in list(self._compiled)[:-COMPILED]:
            if version != self.latest.hash:
                del self._compiled[version]

    def _drop_texts(self) -> None:
        """Delete texts of this run that nothing names any more."""
        old = list(self._written)[:-RECENT]
        if not old:
            return
        with holding(self._folder / LOCK, math.inf):
            named = {self.latest.hash, *self._compiled, *self._in_histories()}
            # What a removed webhook still owes is sent by its last version.
            kept = {self.latest.hash, *list(self._written)[-KEEP:]}
            self._newest = {
                name: version
                for name, version in self._newest.items()
                if version in kept or name in self.specs
            }
            named |= kept.intersection(self._newest.values())
            for version in old:
                if version not in named:
                    self._path(version).unlink(missing_ok=True)
                    del self._written[version]

    def _in_histories(self) -> Iterator[str]:
        """Yield the versions that the histories of the source partitions name."""
        for path in self._folder.parent.glob("source/*/switches"):
            for line in path.read_text().splitlines():
                yield line.partition(" ")[2]

    def _paths(self) -> list[Path]:
        """Return the stored texts, the newest first."""
        found = []
        for path in self._folder.glob("*.config"):
            try:
                found.append((path.stat().st_mtime_ns, path))
            except FileNotFoundError:
                pass  # another process of the job cleans up, too
        return [path for _, path in sorted(found, reverse=True)]

    def _stored(self) -> Iterator[ConfigText]:
        for path in self._paths():
            try:
                yield ConfigText.from_bytes(read_text(path))
            except FileNotFoundError:
                pass  # as above

    def _save(self, text: ConfigText) -> None:
        replace_durably(self._path(text.hash), text.to_bytes())
        self._written.pop(text.hash, None)
        self._written[text.hash] = None

    def _path(self, version: str) -> Path:
        return self._folder / f"{version}.config"


def read_text(path: Path) -> bytes:
    """Return a stored version's text. Raises StateError where its hash does not match its name.

    OSError where there is none.
    """
    text = path.read_bytes()
    if blake2b(text, digest_size=16).hexdigest() != path.stem:
        raise StateError(
            f"{path}: the text of a config version is damaged: it is not what its name says. Restore the "
            "whole state directory from one backup. Where the config files still are that version, remove "
            "this file: the next start writes it again."
        )
    return text
