"""One seed, one schedule: lives that end anywhere, then one that may finish, then the account."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from math import inf
from pathlib import Path
from random import Random
from typing import Literal, get_args

from pipeline.deliver.halts import Order
from pipeline.job.left_requests import Action, leave
from pipeline.outbox.codec import unpack_dead, unpack_owed
from pipeline.outbox.handover import Outcome
from pipeline.store.folders import shard_folder
from pipeline.store.rows import Table
from pipeline.store.store import Store
from tests.job.model import WEBHOOKS
from tests.simulation.bytewax import COMMIT, SOURCE
from tests.simulation.checks import check_balance, check_rest, numbers_of
from tests.simulation.disk import Disk, Ended
from tests.simulation.life import STAGE, Life
from tests.simulation.sources.recorded import Recordings
from tests.simulation.sources.topics import Broker
from tests.simulation.world import Known, World, Wrong

MEMORY = Path("/dev/shm")
MOST_LIVES = 6
LONGEST_LIFE = 120
"""In steps of the schedule."""
PATIENCE = 20_000
"""Steps within which everything must come to rest once nothing is in the way."""

Do = Literal[
    "poll", "work", "send", "ring", "epoch", "sync", "time", "edit", "command", "halt", "clock", "more"
]
OFTEN: dict[Do, int] = {
    "poll": 30, "work": 30, "send": 40, "ring": 8, "epoch": 8, "sync": 6, "time": 12, "edit": 3, "command": 4,
    "halt": 1, "clock": 1, "more": 2,
}  # fmt: skip
"""What happens next, and how likely it is."""
WHAT: tuple[Do, ...] = get_args(Do)
ORDERS: tuple[Order, ...] = ("pause", "disable", "enable", "enable")
STEPS_SECS = (-86_400.0, -3_600.0, -20.0, -0.5, 20.0, 3_600.0)
"""By how much the machine's clock is set."""


ENDS = ("tokens", "commit", "commit", "write", "write", "send", "sync", "undo")
"""Operations before which ends are sought out, beside those before any."""


class Schedule:
    """The schedule of one seed."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.luck = luck = Random(seed)
        self.folder = Path(tempfile.mkdtemp(prefix="simulation-", dir=MEMORY if MEMORY.is_dir() else None))
        state = self.folder / "state"
        state.mkdir()
        self.world = World(luck, Disk(state), shards=luck.choice((1, 2, 3)))
        kind: type[Recordings | Broker] = luck.choice((Recordings, Broker))
        self.source: Recordings | Broker = kind(self.world, luck.choice((1, 1, 2)))
        self.chunk_lines = luck.choice((1, 3, 10, 50))
        self.world.disk.said = lambda what: self.world.tell(f"the end comes before: {what}")
        self.steps_clock = luck.random() < 0.4
        self.asks = luck.choice((1, 1, 5))
        """How many rows a command names."""
        self.often = [OFTEN[what] for what in WHAT]
        self.passes: tuple[float, ...] = (0.001, 0.001, 0.05, 1.0, 11.0, 4000.0)
        """How much time passes between two things."""
        if luck.random() < 0.3:
            # A busy moment: records come while others settle.
            self.passes = (0.003, 0.006)
            self.often[WHAT.index("poll")], self.often[WHAT.index("more")] = 90, 9
        self.often[WHAT.index("send")] = luck.choice((40, 40, 5))
        """How quick the engine is beside the worker."""
        self.purged: set[str] = set()
        self.epoch: Iterator[str] | None = None
        self.committed: list[Known] = []
        """Ends that are in the stores of the epoch that is not durable yet."""
        self.seqs: dict[int, int] = {}

    def run(self) -> None:
        """Play it; raises Wrong where a promise is broken, and whatever the product raises."""
        try:
            with self.source.at_work():
                for _ in range(self.luck.randint(1, MOST_LIVES)):
                    self.life()
                self.peace()
        finally:
            self.world.disk.release()
            STAGE.leave()
            shutil.rmtree(self.folder)

    # --- a life

    def begin(self) -> Life:
        self.epoch, self.committed, self.seqs = None, [], {}
        self.world.begins()
        return Life(self.world, self.source.open_source(), chunk_lines=self.chunk_lines)

    def life(self) -> None:
        """Live until the process ends, which is before any operation."""
        world, luck = self.world, self.luck
        world.tell("-- a start")
        disk, how = world.disk, luck.random()
        if how < 0.15:
            disk.left = luck.randint(0, 100)
        try:
            life = self.begin()
            if how < 0.7:
                disk.left = luck.choice((luck.randint(0, 30), luck.randint(0, 100)))
            else:
                disk.kind, disk.left = luck.choice(ENDS), luck.randint(0, 6)
            for _ in range(LONGEST_LIFE):
                self.step(life, luck.choices(WHAT, self.often)[0])
        except Ended:
            pass
        world.disk.release()
        if luck.random() < 0.5:
            world.power_is_lost()
            world.tell(f"-- the power is cut: {world.disk.lose_power(luck)}")
        else:
            world.tell("-- killed")
        world.now += luck.choice((0.1, 2.0, 100.0, 5000.0))
        if luck.random() < 0.2:
            self.left_for_later()

    def step(self, life: Life, what: Do) -> None:
        """Do one thing."""
        world, luck, bytewax = self.world, self.luck, life.bytewax
        self.source.arrive()
        if self.epoch is not None and luck.random() < 0.5:
            what = "epoch"
        if what == "send":
            life.engine.run()
        elif what == "epoch":
            self.end_epoch(life)
        elif what == "poll":
            if self.epoch is None and bytewax.reading():
                bytewax.poll(luck.choice(bytewax.reading()))
        elif what == "work":
            if self.epoch is None and bytewax.busy():
                bytewax.work(luck.choice(bytewax.busy()), luck.randint(1, 5))
        elif what == "ring":
            keys = bytewax.keys(len(bytewax.steps) - 1)
            if keys:
                bytewax.ring(len(bytewax.steps) - 1, luck.choice(keys))
        elif what == "sync":
            if life.background:
                life.background.pop(luck.randrange(len(life.background)))()
        elif what == "time":
            world.now += luck.choice(self.passes)
        elif what == "edit":
            life.edit(luck.randrange(4))
            world.tell(f"edit: version {world.version}")
        elif what == "command":
            self.command(life)
        elif what == "halt":
            webhook = luck.choice(sorted(WEBHOOKS))
            order = luck.choice(ORDERS)
            world.tell(f"{order} {webhook}")
            life.order(webhook, order)
        elif what == "clock":
            if self.steps_clock:
                world.step_secs += luck.choice(STEPS_SECS)
                world.clock_was_wrong = True
                world.tell(f"the clock is set to {world.step_secs:+g} s")
        else:
            self.source.more()

    def end_epoch(self, life: Life) -> None:
        """Begin the end of an epoch, or go one step further."""
        world = self.world
        if self.epoch is None:
            self.epoch = life.bytewax.end_epoch()
        done = next(self.epoch, None)
        if done is None:
            self.epoch = None
            for known in self.committed:
                known.is_safe = known.end is not None
            self.committed = []
            for partition in life.partitions:
                token = world.tokens[SOURCE, partition.name]
                world.order_is_kept(partition.name, token[1][1])
            world.now += 0.001
            world.tell("epoch")
        elif done == COMMIT:
            world.disk.step("tokens")
        elif done.startswith("shard/"):
            for shard in life.shards():  # the first one that is asked commits all of them
                if shard.store.seq != self.seqs.get(shard.number):
                    self.seqs[shard.number] = shard.store.seq
                    self.committed += world.ends_of(shard.number, shard.store.seq)
                    check_balance(shard)

    # --- what people ask

    def command(self, life: Life) -> None:
        """Replay or purge a dead letter, or drop what is owed."""
        shards = life.shards()
        if not shards:
            return
        action, keys = self.asked({shard.number: shard.store for shard in shards})
        if keys:
            self.world.tell(f"{action} {keys}")
            life.ask(action, keys)

    def asked(self, stores: dict[int, Store]) -> tuple[Action, list[bytes]]:
        """Return what is asked, of rows that are there."""
        luck = self.luck
        store = stores[luck.choice(sorted(stores))]
        action: Action = luck.choice(("replay", "replay", "purge", "drop", "drop"))
        if action == "drop":
            owed = dict(store.committed(Table.OUTBOX, b"", b""))
            rows = luck.sample(sorted(owed), min(len(owed), self.asks))
            self.world.dropped |= {unpack_owed(owed[row])[0].key for row in rows}
        else:
            found = store.committed(Table.DEAD, b"", b"")
            letters = [
                letter for letter in (unpack_dead(value) for _, value in found) if letter.kind != "record"
            ]
            letters = luck.sample(letters, min(len(letters), self.asks))
            rows = [letter.key for letter in letters]
            if action == "purge":
                self.purged |= {letter.request.message_id for letter in letters}
        return action, rows

    def left_for_later(self) -> None:
        """Leave a command for the stopped job: of any key that was ever sent, there or not."""
        keys = sorted(key for key, known in self.world.keys.items() if known.end is Outcome.DEAD)
        if keys:
            key = self.luck.choice(keys)
            folder = shard_folder(self.world.disk.root, self.world.keys[key].shard)
            self.world.tell(f"left for the next start: replay {key!r}")
            leave(folder, "replay", [key])

    # --- the end

    def peace(self) -> None:
        """Let the job finish: no end comes, receivers take everything, and all that is owed must be sent."""
        world = self.world
        world.tell("-- peace")
        world.peaceful = True
        life = self.begin()
        for webhook in WEBHOOKS:
            if webhook in life.job.versions.specs:
                life.order(webhook, "enable")
        for _ in range(PATIENCE):
            if life.bytewax.eof:
                break
            if self.is_at_rest(life):
                self.source.end(life)
            self.source.arrive()
            self.go_on(life)
        else:
            raise Wrong(f"it never comes to rest: {life.engine.stats()}")
        shards = life.shards()
        records: Counter[str] = Counter()
        for counts in life.job.committed.records.values():
            records.update({name.partition("/")[2]: number for name, number in counts.items()})
        check_rest(world, shards, records, self.source.line, self.purged)
        self.source.check(records)
        life.close()

    def is_at_rest(self, life: Life) -> bool:
        """Return whether all was read, every epoch is durable, and nothing is owed."""
        shards = life.shards()
        if len(shards) < self.world.shards or not self.source.is_read(life.partitions):
            return False
        return not any(numbers["pending"] for numbers in numbers_of(shards).values())

    def go_on(self, life: Life) -> None:
        """Do what can be done at once; where nothing can, let time pass up to what is due."""
        bytewax = life.bytewax
        gave = [bytewax.poll(name) for name in bytewax.reading()]
        while bytewax.busy():
            bytewax.work(bytewax.busy()[0], 9)
        ran = 0
        while life.engine.run():
            ran += 1
        for name in bytewax.keys(len(bytewax.steps) - 1):
            bytewax.ring(len(bytewax.steps) - 1, name)
        while life.background:
            life.background.pop(0)()
        self.end_epoch(life)
        while self.epoch is not None:
            self.end_epoch(life)
        if not any(gave) and not ran:
            due = life.engine.due()
            self.world.now = max(self.world.now + 0.01, due if due < inf else 0.0)
