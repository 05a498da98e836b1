"""Rebuilds stores whose files are gone: users and links from the source, up to where the job was."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.config.job import PipelineConfig
from pipeline.config.models.installation.source import JsonlSource
from pipeline.decode.formats import Formats
from pipeline.decode.framed.schemas import FOLDER
from pipeline.decode.scan import scan
from pipeline.job.steps.keys import shard_of
from pipeline.job.steps.source import position_of
from pipeline.job.story import resolve
from pipeline.join.links import Identity
from pipeline.join.users import Users
from pipeline.model.errors import NoState, StateError
from pipeline.model.files.disk import make_folder, sync
from pipeline.model.records import IdentityLink, Invalid, PropertyUpdate, Record
from pipeline.runtime.parts import REAL
from pipeline.runtime.readers import with_schemas
from pipeline.runtime.rebuilding.reaching import Goal
from pipeline.runtime.state.directory import StateDirectory, describe
from pipeline.runtime.state.recovery import read_tokens
from pipeline.sources.files.position import files_of
from pipeline.sources.reader import Source
from pipeline.store.folders import identity_folder, shard_folder
from pipeline.store.store import Store

COMMIT_EVERY = 50_000
"""Records between two commits: what is rebuilt need not fit into memory."""
IDLE_TURNS = 5
"""Looks after which followed files have nothing more; they turn from one file to the next between two."""


@dataclass(slots=True)
class Rebuilt:
    """What was rebuilt."""

    shards: list[int] = field(default_factory=list)
    identities: list[str] = field(default_factory=list)
    records: int = 0
    invalid: int = 0
    """Records that the present shapes cannot read."""
    gone: list[str] = field(default_factory=list)
    """Followed files that the job has read further than they go now, as they are called in origins."""


def rebuild(
    config: PipelineConfig,
    config_dir: Path,
    formats: Formats,
    progress: Callable[[int], None],
) -> Rebuilt:
    """Rebuild every missing store of a stopped job's state directory.

    formats: which shape reads what. progress: called now and then with the number of records read. Users are
    rebuilt from the source up to the position of the last durable epoch. What a lost store owed, its dead
    letters, limits and counts cannot be rebuilt. Raises StateError where nothing can be rebuilt, and what the
    source raises where it cannot be read from its beginning.
    """
    if describe(config.state) is None:
        raise NoState.at(config.state)
    with ExitStack() as stack:
        directory = StateDirectory(config.state, shards=config.file.shards)
        stack.callback(directory.close)
        tokens = read_tokens(config.state / "recovery")
        if not tokens.get("source"):
            raise StateError(
                f"{config.state} has no recovery store: there is no position to rebuild up to. Start with an "
                "empty state directory; the job then reads the source from its beginning."
            )
        source, fetcher = with_schemas(
            REAL.source(config, None, formats), config, config_dir, formats, config.state / FOLDER
        )
        if fetcher is not None:
            stack.callback(fetcher.close)
        return _Rebuilding(config, tokens, source, formats, stack).run(progress)


class _Rebuilding:
    def __init__(
        self,
        config: PipelineConfig,
        tokens: dict[str, dict[str, Any]],
        readers: Source,
        formats: Formats,
        stack: ExitStack,
    ) -> None:
        self.config = config
        self.tokens = tokens
        self.readers = readers
        self.formats = formats
        self.stack = stack
        self.workshop = config.state / "rebuilding"
        shutil.rmtree(self.workshop, ignore_errors=True)
        self.stores: list[tuple[Store, list[Any], Path]] = []
        """Each with the epoch under which it will be committed: its number, and who committed it."""
        self.scratches: list[Store] = []
        self.users: dict[int, Users] = {}
        self.done = Rebuilt()
        stack.callback(self.close)
        for _, shard, *epoch in tokens.get("shard", {}).values():
            if is_lost(shard_folder(config.state, shard), epoch[0]):
                store = self.open(shard_folder(config.state, shard), epoch)
                self.users[shard] = Users(store, sizes=config.file.sizes())
                self.done.shards.append(shard)

    def run(self, progress: Callable[[int], None]) -> Rebuilt:
        lost = {
            name: epoch
            for _, name, *epoch in self.tokens.get("identity", {}).values()
            if is_lost(identity_folder(self.config.state, name), epoch[0])
        }
        if not self.users and not lost:
            return self.done
        positions = {name: position_of(token) for name, token in sorted(self.tokens["source"].items())}
        identities = {name: self.identity(name, lost.get(name)) for name in positions}
        since = 0
        for partition, record in self.records(positions):
            # As in the running job: a link also goes to the other partitions, where the id may occur.
            for name in identities if isinstance(record, IdentityLink) else (partition,):
                for key, own, _ in resolve([(record, ())], identities[name]):
                    users = self.users.get(shard_of(key, self.config.file.shards))
                    if users is not None and isinstance(own, PropertyUpdate):
                        users.apply(key, own, name)
            since += 1
            if since >= COMMIT_EVERY:
                since = 0
                progress(self.done.records)
                self.commit()
        self.flush()
        while self.stores:
            store, epoch, folder = self.stores.pop()
            store.commit_as(*epoch)
            store.close()
            make_folder(folder)
            (store.path / "data.mdb").replace(folder / "data.mdb")
            sync(folder)
        return self.done

    def identity(self, partition: str, lost: list[Any] | None) -> Identity:
        if lost is None:
            # Links are needed to assign updates to users; the store that has them is not touched.
            store = Store(self.workshop / f"links-{len(self.scratches)}")
            self.scratches.append(store)
        else:
            store = self.open(identity_folder(self.config.state, partition), lost)
            self.done.identities.append(partition)
        return Identity(store, sizes=self.config.file.sizes())

    def records(self, positions: dict[str, Any]) -> Iterator[tuple[str, Record]]:
        """Yield the updates and links of all partitions up to these positions, each with its partition."""
        sizes = self.config.file.sizes()
        source = self.config.source
        is_of_files = isinstance(source, JsonlSource)
        followed = isinstance(source, JsonlSource) and source.follow
        goals = {name: Goal(self.present(name, position)) for name, position in positions.items()}
        readers = {name: self.readers.open(name, goal.begin) for name, goal in goals.items()}
        ends = {name: goal.ends(name) for name, goal in goals.items()}
        for reader in readers.values():
            self.stack.callback(reader.close)
        idle_turns = 0
        while readers:
            idle = True
            for name, reader in list(readers.items()):
                goal = goals[name]
                if goal.is_reached(reader.position):
                    del readers[name]
                    continue
                chunk = reader.read(goal.limit(reader.position))
                if chunk is None:
                    if reader.done:
                        short = ", ".join(goal.missing(reader.position)[:5])
                        raise StateError(
                            f"{name}: the source ends before the position that the job had reached"
                            f"{f' in {short}' if short else ''}; it is not the one that this state directory "
                            "was made from, or something of it is gone: put that back"
                        )
                    if followed and idle_turns >= IDLE_TURNS:
                        self.done.gone += goal.missing(reader.position)
                        del readers[name]
                    continue
                idle, idle_turns = False, 0
                self.done.records += len(chunk)
                found = scan(chunk, format=self.formats, wants=lambda name, kind: False, sizes=sizes)
                # What the job does not know, it will read itself; recorded messages are of no file.
                own = files_of(reader.position) if is_of_files else {}
                for record in found.records:
                    self.done.invalid += type(record) is Invalid
                    place, offset, _ = record.origin
                    if offset < ends[name].get(place, 0 if goal.is_of_topics or place in own else offset + 1):
                        yield name, record
            if idle and readers:
                idle_turns += 1
                time.sleep(0.01)  # a broker has nothing for us yet

    def present(self, name: str, position: Any) -> Any:
        """Return where the job would go on, which of a topic made anew, or cut off, is another place.

        Raises StateError where it would not.
        """
        if not Goal(position).is_of_topics:
            return position
        reader = self.readers.open(name, position)
        try:
            return reader.position
        finally:
            reader.close()

    def open(self, folder: Path, epoch: list[Any]) -> Store:
        """Return a store that takes its place once it is complete: until then it must not look like one."""
        store = Store(self.workshop / str(len(self.stores)))
        self.stores.append((store, epoch, folder))
        return store

    def flush(self) -> None:
        for users in self.users.values():
            users.flush()

    def close(self) -> None:
        for store in (*(store for store, _, _ in self.stores), *self.scratches):
            store.close()
        shutil.rmtree(self.workshop, ignore_errors=True)

    def commit(self) -> None:
        self.flush()
        for store in [store for store, _, _ in self.stores] + self.scratches:
            store.commit()


def is_lost(folder: Path, seq: int) -> bool:
    """Return whether a store is missing, or is the empty one that a failed start created in its place."""
    if not (folder / "data.mdb").exists():
        return True
    store = Store(folder)
    try:
        return seq > 0 and store.seq == 0
    finally:
        store.close()
