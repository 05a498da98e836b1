"""A model of Bytewax that runs the job's real dataflow: what it promises of epochs, and nothing more.

As DESIGN 8 found: an epoch's items reach every step before its snapshot; upstream steps snapshot first, the
keys of a step in any order, with no call of that step in between (tests/job/test_epoch_end.py); the tokens
are committed after the stores, in one commit that syncs; the source reads on only then, while timers may
ring before. A start goes on from the last tokens: what is newer was never there
(tests/recovery/test_ghosts.py proves that of the real one).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any

Tokens = dict[tuple[str, str], Any]
"""What Bytewax keeps: step and key (or partition) to what its last durable snapshot returned."""


@dataclass
class Step:
    """An operator behind the source, and the items that wait for it."""

    id: str
    builder: Callable[[Any], Any] | None = None
    """Makes the logic of a key, where the step is stateful."""
    mapper: Callable[[Any], Iterable[Any]] = lambda item: (item,)
    """Makes items of items, where it is not."""
    logics: dict[str, Any] = field(default_factory=dict)
    """By key."""
    waiting: deque[Any] = field(default_factory=deque)
    awake: set[str] = field(default_factory=set)
    """Keys that were called in this epoch: only they are asked for a snapshot."""


class Plan:
    """A dataflow as `job/flow.py` describes it: a line of steps. Stands in the place of `Dataflow`."""

    def __init__(self, flow_id: str) -> None:
        self.source: Any = None
        self.steps: list[Step] = []


class Operators:
    """Stands in the place of `bytewax.operators`: describing a dataflow costs the real ones 20 ms."""

    def input(self, step_id: str, flow: Plan, source: Any) -> Plan:
        flow.source = source
        return flow

    def flat_map_batch(self, step_id: str, up: Plan, mapper: Callable[[list[Any]], Iterable[Any]]) -> Plan:
        up.steps.append(Step(step_id, mapper=mapper))
        return up

    def stateful_batch(self, step_id: str, up: Plan, builder: Callable[[Any], Any]) -> Plan:
        up.steps.append(Step(step_id, builder))
        return up

    def output(self, step_id: str, up: Plan, sink: Any) -> None:
        """Nothing is copied here."""


class Bytewax:
    """One run of a dataflow.

    tokens: of the last durable epoch; changed when one commits.
    """

    def __init__(self, flow: Plan, tokens: Tokens, luck: Random) -> None:
        self.tokens = tokens
        self.luck = luck
        self.steps = flow.steps
        self.partitions: dict[str, Any] = {
            name: flow.source.build_part(SOURCE, name, tokens.get((SOURCE, name)))
            for name in flow.source.list_parts()
        }
        self.ended: set[str] = set()
        self.eof = False
        self.asked: int | None = None
        """The step whose keys are being asked for their snapshots."""
        for step in self.steps:
            for owner, key in sorted(tokens):
                if step.builder is not None and owner == step.id:
                    step.logics[key] = step.builder(tokens[owner, key])

    # --- within an epoch

    def reading(self) -> list[str]:
        """Return the partitions that have not ended."""
        return [name for name in self.partitions if name not in self.ended]

    def poll(self, name: str) -> bool:
        """Ask a partition for a batch; True where it gave something."""
        try:
            batch = list(self.partitions[name].next_batch())
        except StopIteration:
            self.ended.add(name)
            return False
        self.steps[0].waiting.extend(batch)
        return bool(batch)

    def busy(self) -> list[int]:
        """Return the steps for which something waits."""
        return [index for index, step in enumerate(self.steps) if step.waiting]

    def work(self, index: int, most: int) -> None:
        """Give a step what waits for it, at most so many items at once."""
        step = self.steps[index]
        items = [step.waiting.popleft() for _ in range(min(most, len(step.waiting)))]
        if step.builder is None:
            self._pass(index, step.mapper(items))
            return
        by_key: dict[str, list[Any]] = {}
        for key, item in items:
            by_key.setdefault(key, []).append(item)
        for key, values in by_key.items():
            logic = step.logics.get(key)
            if logic is None:
                logic = step.logics[key] = step.builder(None)
            self._call(index, key, partial(logic.on_batch, values))

    def keys(self, index: int) -> list[str]:
        return sorted(self.steps[index].logics)

    def ring(self, index: int, key: str) -> None:
        """Let a key's timer ring, unless its step has something else to do."""
        if index == self.asked:
            return
        self._call(index, key, self.steps[index].logics[key].on_notify)

    def _call(self, index: int, key: str, method: Callable[[], Any]) -> None:
        step = self.steps[index]
        step.awake.add(key)
        emitted, _ = method()
        self._pass(index, [(key, item) for item in emitted])

    def _pass(self, index: int, items: Any) -> None:
        if index + 1 < len(self.steps):
            self.steps[index + 1].waiting.extend(items)

    # --- its end

    def end_epoch(self) -> Iterator[str]:
        """End the epoch in small steps; the last one makes it durable. Yields what was done between them."""
        taken: Tokens = {}
        names = list(self.partitions)
        self.luck.shuffle(names)
        while names:
            name = names.pop()
            taken[SOURCE, name] = self.partitions[name].snapshot()
            # Each partition has a time of its own when its epoch ends.
            for other in names:
                if other not in self.ended and self.luck.random() < 0.3:
                    self.poll(other)
                    yield f"a poll of {other}"
                    if self.busy():
                        self.work(self.luck.choice(self.busy()), self.luck.randint(1, 4))
        at_end = not self.reading() and not self.eof
        yield "the source's snapshot"
        for index, step in enumerate(self.steps):
            while step.waiting:
                self.work(index, self.luck.randint(1, 4))
                yield f"the rest of {step.id}"
            if step.builder is None:
                continue
            if at_end:
                for key in self.keys(index):
                    self._call(index, key, step.logics[key].on_eof)
            keys = sorted(step.awake)
            self.luck.shuffle(keys)
            step.awake.clear()
            self.asked = index
            for key in keys:
                taken[step.id, key] = step.logics[key].snapshot()
                yield f"{step.id}/{key}"
            self.asked = None
        self.eof = at_end or self.eof
        yield COMMIT
        self.tokens.update(taken)

    def close(self) -> None:
        for partition in self.partitions.values():
            partition.close()


SOURCE = "source"
COMMIT = "tokens"
"""The last step of an epoch: what is done when it returns is durable."""
