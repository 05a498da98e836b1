"""What must be true: of a shard at every commit, and of everything once all has come to rest."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from pipeline.job.steps.shard import Shard
from pipeline.outbox.codec import DeadLetter, unpack_dead
from pipeline.outbox.counters import WEBHOOK
from pipeline.store.rows import Table
from tests.job.model import WEBHOOKS
from tests.simulation.records import Oracle
from tests.simulation.world import Known, World, Wrong, is_replay, place

Numbers = Mapping[str, int]


def numbers_of(shards: Iterable[Shard]) -> dict[str, Counter[str]]:
    """Return the accounting by webhook, of the last commits."""
    found: dict[str, Counter[str]] = {webhook: Counter() for webhook in WEBHOOKS}
    for shard in shards:
        for name, number in shard.counters.written().items():
            webhook, _, counter = name.rpartition("/")
            if webhook:  # else of dead records, which are no webhook's
                found[webhook][counter] += number
    return found


def dead_letters(shards: Iterable[Shard]) -> list[DeadLetter]:
    """Return the dead letters as of the last commits."""
    rows = (shard.store.committed(Table.DEAD, b"", b"") for shard in shards)
    return [unpack_dead(value) for each in rows for _, value in each]


def check_balance(shard: Shard) -> None:
    """At every commit: matched = delivered + dead + pending + suppressed, and pending are rows (P6)."""
    rows: Counter[str] = Counter()
    for key, _ in shard.store.committed(Table.OUTBOX, b"", b""):
        rows[key.partition(b"\0")[0].decode()] += 1
    for webhook, numbers in numbers_of([shard]).items():
        parts = {name: numbers[name] for name in WEBHOOK}
        if parts["matched"] != sum(parts.values()) - parts["matched"]:
            raise Wrong(f"shard {shard.number}, {webhook}: the accounting is out of balance: {parts}")
        if parts["pending"] != rows[webhook]:
            raise Wrong(f"shard {shard.number}, {webhook}: {rows[webhook]} rows, {parts['pending']} pending")


def check_rest(
    world: World,
    shards: list[Shard],
    records: Numbers,
    line: Callable[[str, str, int], bytes | None],
    purged: set[str],
) -> None:
    """When nothing is left to do: what was sent is what a simple reader of the stream would have sent.

    records: the counts of records. line: by partition, source and offset. purged: webhook-ids of dead letters
    that were asked to be deleted.
    """
    oracles = {name: told(world, name, line) for name in world.emitted}
    expected = {id: one for oracle in oracles.values() for id, one in oracle.expected.items()}
    letters = dead_letters(shards)
    _check_requests(world, expected, letters, purged)
    _check_numbers(numbers_of(shards), expected, letters, oracles.values(), purged)
    lines = sum(map(len, world.emitted.values()))
    if records["read"] < lines:
        raise Wrong(f"{records['read']} records are counted, {lines} were read")
    invalid = sum(oracle.invalid for oracle in oracles.values())
    dead = sum(letter.kind == "record" for letter in letters)
    if not invalid == records["invalid"] == dead:
        raise Wrong(f"{invalid} records are none, {records['invalid']} are counted, {dead} are dead letters")
    _check_order(world)


def told(world: World, partition: str, line: Callable[[str, str, int], bytes | None]) -> Oracle:
    """Return what had to be sent for a partition, read line by line as it left."""
    oracle = Oracle()
    emitted = world.emitted[partition]
    for number in range(len(emitted)):
        if number not in emitted:
            raise Wrong(f"line {number} of {partition} never left")
        source, offset = emitted[number]
        oracle.version = world.ran[partition][number]
        oracle.line(source, offset, line(partition, source, offset) or b"")
    return oracle


def _check_requests(
    world: World,
    expected: Mapping[str, tuple[str, str]],
    letters: Iterable[DeadLetter],
    purged: set[str],
) -> None:
    for id, (url, body) in world.bodies.items():
        if id in world.loose:
            continue
        text = f"{url} {json.dumps(json.loads(body), sort_keys=True)}"
        if id not in expected:
            raise Wrong(f"{id} was sent, and nobody wanted it: {text}")
        if expected[id][1] != text:
            raise Wrong(f"{id} was {text}, not {expected[id][1]}")
    taken = {known.message_id for known in world.keys.values() if known.was_taken}
    dead = {letter.request.message_id for letter in letters}
    lost = expected.keys() - taken - dead - purged
    if lost:
        raise Wrong(f"lost: {[expected[id] for id in sorted(lost)]}")


def _check_numbers(
    numbers: Mapping[str, Numbers],
    expected: Mapping[str, tuple[str, str]],
    letters: Iterable[DeadLetter],
    oracles: Iterable[Oracle],
    purged: set[str],
) -> None:
    wanted = Counter(webhook for webhook, _ in expected.values())
    held_back = sum(oracle.visits for oracle in oracles) - wanted["limited"]
    dead = Counter(letter.request.webhook_id for letter in letters)
    gone = Counter(expected[id][0] for id in purged & expected.keys())
    for webhook, found in numbers.items():
        suppressed = held_back if webhook == "limited" else 0
        if found["suppressed"] != suppressed:
            raise Wrong(f"{webhook}: {found['suppressed']} are counted as suppressed, not {suppressed}")
        if found["matched"] != wanted[webhook] + suppressed:
            raise Wrong(f"{webhook}: {found['matched']} are counted as matched, not {wanted[webhook]}")
        if not dead[webhook] <= found["dead"] <= dead[webhook] + gone[webhook]:
            raise Wrong(f"{webhook}: {found['dead']} are counted as dead, there are {dead[webhook]}")


def _check_order(world: World) -> None:
    """An ordered webhook sends a user's next request only when the last one has ended."""
    last: dict[str, tuple[Known, bytes]] = {}
    for key, known in sorted(world.keys.items(), key=lambda one: place(one[0])):
        if not key.startswith(b"all\0") or is_replay(key) or key in world.dropped:
            continue
        user = str(json.loads(known.body[1]).get("user") or "")
        before = last.get(user)
        if user and before is not None and not 0 <= before[0].first_end < known.first_sent:
            raise Wrong(f"{key!r} was sent before {before[1]!r} of the same user had ended")
        last[user] = known, key
