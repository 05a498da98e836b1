"""The identity and route steps: anonymous ids become users, records go to their shards."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bytewax.operators import StatefulBatchLogic

from pipeline.job.committed import Committed
from pipeline.job.control.failure import Failure
from pipeline.job.control.pace import Pace
from pipeline.job.control.rest import Rest
from pipeline.job.settings import JobSettings
from pipeline.job.shards import Stores
from pipeline.job.steps.chunks import Routed, Selected
from pipeline.job.steps.epoch_end import EpochEnd
from pipeline.job.steps.keys import shard_key, shard_of
from pipeline.job.story import resolve
from pipeline.join.links import Identity
from pipeline.model.records import Invalid
from pipeline.outbox.counters import RECORDS, REFUSED, Counters
from pipeline.store.folders import identity_folder
from pipeline.telemetry import log
from pipeline.telemetry.happenings import JOIN_MERGES_REFUSED

_RECORDS = tuple(f"record/{name}" for name in RECORDS)

_log = log.get("job")

Token = tuple[str, str, int, str]
"""What Bytewax keeps of an identity key: ("v1", source partition, the store's sequence number, who committed
that epoch). Older versions kept three of them."""


@dataclass(eq=False)
class IdentityStep(StatefulBatchLogic[Selected, Routed, Token]):
    """One source partition's links and counts, in the order of its records."""

    token: Token | None
    settings: JobSettings
    stores: Stores
    committed: Committed
    failure: Failure
    pace: Pace
    rest: Rest
    epoch_end: EpochEnd
    partition: str = ""
    config: str = ""

    def on_batch(self, values: list[Selected]) -> tuple[Iterable[Routed], bool]:
        """Resolve the chunks' records and split them by shard; a new config version goes to every shard."""
        with self.failure:
            routed: list[Routed] = []
            for chunk in values:
                if not self.partition:
                    self.build(chunk.key)
                if chunk.partition == self.partition or not self.config:
                    self.config = chunk.config
                if chunk.text is not None or chunk.is_last:
                    routed.extend(
                        Routed(shard, chunk.partition, chunk.config, chunk.text, is_last=chunk.is_last)
                        for shard in range(self.settings.shards)
                    )
                self.count(chunk)
                if chunk.items:
                    routed.extend(self.route(chunk))
            if self.pace.is_ending():
                self.prepare_all()
            self.rest.walks(len(routed) - len(values))
            return routed, self.RETAIN

    def build(self, partition: str) -> None:
        """Open the store at the epoch from which Bytewax resumes."""
        self.partition = partition
        self.store = self.stores.open(identity_folder(self.settings.state, partition))
        self.store.resume(*(self.token[2:] if self.token is not None else (0,)))
        known = self.settings.known
        self.identity = Identity(
            self.store if known is None else known.under(self.store), sizes=self.settings.sizes
        )
        self.counters = Counters(self.store)
        # Published from the start, so that a rate does not include what earlier runs have read.
        self.committed.records[self.partition] = self.counters.written()

    def count(self, chunk: Selected) -> None:
        """Add select's counts to the partition's records."""
        if chunk.counts is not None:
            for name, number in zip(_RECORDS, chunk.counts, strict=True):
                if number:
                    self.counters.add(name, number)
        if chunk.noted:
            for name, number in chunk.noted.items():
                self.counters.add(f"record/{name}", number)

    def route(self, chunk: Selected) -> Iterable[Routed]:
        """Return one chunk per shard that has records in this one."""
        by_shard: dict[int, Routed] = {}
        shards = self.settings.shards
        for owned in resolve(chunk.items, self.identity):
            if type(owned[1]) is Invalid and chunk.partition != self.partition:
                continue  # a link of another partition, which itself reports that it refused it
            shard = shard_of(owned[0], shards)
            routed = by_shard.get(shard)
            if routed is None:
                routed = by_shard[shard] = Routed(shard, self.partition, self.config, passed=chunk.passed)
            routed.items.append(owned)
        return by_shard.values()

    def snapshot(self) -> Token:
        """Commit the epoch, at the same time as the shards; see DESIGN 6, rule 3."""
        with self.failure:
            if not self.partition:
                return self.token or ("v1", "", 0, "")
            self.pace.committing()
            seq = self.epoch_end.ahead(self)
            return ("v1", self.partition, seq, self.store.run_of(seq))

    def prepare_all(self) -> None:
        """Do what can be done ahead, as the epoch's end is near."""
        self.counters.flush()
        self.store.flush()

    def begin_commit(self) -> int:
        """Begin to commit the epoch, and return the sequence number that the store will have then."""
        if self.identity.refused:
            self.counters.add(f"record/{REFUSED}", self.identity.refused)
            JOIN_MERGES_REFUSED.happened(_log, self.identity.refused)
            self.identity.refused = 0
        self.counters.flush()
        return self.store.begin_commit()

    def end_commit(self) -> None:
        """Wait until it is committed."""
        self.store.end_commit()
        self.committed.records[self.partition] = self.counters.written()


def to_shards(chunks: list[tuple[str, Routed]]) -> list[tuple[str, Routed]]:
    """Give routed chunks their shards' keys."""
    return [(shard_key(chunk.shard), chunk) for _, chunk in chunks]
