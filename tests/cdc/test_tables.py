"""Random statements on a real table: what is known of the users is the table, whenever one looks."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest

from pipeline.sources.files.lines.recorded import Message
from tests.cdc import story
from tests.cdc.chain import Chain, chain
from tests.decode.connect.captured import is_same, profiles, read

SEED = int(os.environ.get("HOOKLINE_SEED", "0")) or time.time_ns() % 1_000_000
ROUNDS = int(os.environ.get("HOOKLINE_ROUNDS", "12"))
STATEMENTS = 60
IDS = range(1, 9)

TABLE = """CREATE TABLE users (
    id int PRIMARY KEY, mail text, plan varchar(20) NOT NULL, visits bigint, balance numeric(14,4),
    loose numeric, ratio double precision, active boolean, created timestamp(6), seen timestamptz, born date,
    wake time(6), data jsonb, token uuid, avatar bytea, tags text[], bio text, photo bytea, notes jsonb,
    places text[],
    counts int[])"""
ELSEWHERE = ("bio", "photo", "notes", "places", "counts")
"""Columns that PostgreSQL keeps outside of a row once it is long."""

CONNECTORS = {
    # The old row is known by its key: what is kept elsewhere and not touched is not written.
    "usual": story.WITH_SCHEMAS,
    "flat": story.WITH_SCHEMAS | story.FLAT | {story.DELETES: "rewrite-with-tombstone"},
}

NESTED = {"a": {"b": "ü", "big": 2**63}, "c": 1e2}

VALUES: dict[str, Callable[[random.Random], str]] = {
    "mail": lambda rng: f"'{rng.choice('abc')}@ex''ample.com'",
    "plan": lambda rng: rng.choice(["'free'", "'pro'", "''"]),
    "visits": lambda rng: str(rng.choice([0, -1, 1, 2**53 + 1, 2**63 - 1, -(2**63)])),
    "balance": lambda rng: f"{rng.randrange(-(10**13), 10**13)}e-4",
    "loose": lambda rng: f"{rng.randrange(-(10**30), 10**30)}e{rng.randrange(-35, 9)}",
    "ratio": lambda rng: rng.choice(["0", "0.1", "1e300", "-1e-300", "12345678.875"]),
    "active": lambda rng: rng.choice(["true", "false"]),
    "created": lambda rng: f"timestamp '0001-01-01' + {rng.randrange(9998 * 365)} * interval '1 day 7 us'",
    "seen": lambda rng: f"timestamptz '1900-01-01' + {rng.randrange(10**9)} * interval '1.000001 s'",
    "born": lambda rng: f"date '1900-01-01' + {rng.randrange(60_000)}",
    "wake": lambda rng: f"time '00:00' + {rng.randrange(86_400_000)} * interval '1 ms'",
    "data": lambda rng: rng.choice(["'{}'", "'[1, 2.5, null]'", "'null'", f"'{json.dumps(NESTED)}'"]),
    "token": lambda rng: "gen_random_uuid()",
    "avatar": lambda rng: f"decode('{rng.randbytes(rng.randrange(5)).hex()}', 'hex')",
    "tags": lambda rng: rng.choice(["'{}'", "'{a,NULL,b c}'"]),
    "bio": lambda rng: f"repeat('{rng.choice('xyz')}', {rng.choice([1, 9_000])})",
    "photo": lambda rng: f"decode(repeat('{rng.randrange(16):x}f', {rng.choice([1, 9_000])}), 'hex')",
    "notes": lambda rng: f"jsonb_build_object('n', repeat('{rng.choice('xyz')}', {rng.choice([1, 9_000])}))",
    "places": lambda rng: f"ARRAY['p', repeat('{rng.choice('xyz')}', {rng.choice([1, 9_000])})]",
    "counts": lambda rng: f"array_fill({rng.randrange(9)}, ARRAY[{rng.choice([1, 2_500])}])",
}


def value(rng: random.Random, column: str) -> str:
    return "NULL" if column != "plan" and rng.random() < 0.1 else VALUES[column](rng)


def statement(rng: random.Random) -> str:
    """Return a statement that PostgreSQL takes, whatever is in the table."""
    one = rng.choice(IDS)
    columns = rng.sample(list(VALUES), rng.choice([1, 1, 2, 5]))
    changes = ", ".join(f"{column} = {value(rng, column)}" for column in columns)
    match rng.choice("iiuuuuuuudkt"):
        case "i":
            names = rng.sample(list(VALUES), rng.randrange(len(VALUES)))
            values = ", ".join([str(one), "'new'", *(value(rng, name) for name in names if name != "plan")])
            listed = ", ".join(["id", "plan", *(name for name in names if name != "plan")])
            return f"INSERT INTO users ({listed}) VALUES ({values}) ON CONFLICT (id) DO UPDATE SET {changes}"
        case "d":
            return f"DELETE FROM users WHERE id = {one}"
        case "k":
            # Of a changed key the long columns are lost, so they are written with it.
            whole = ", ".join(f"{column} = {value(rng, column)}" for column in ELSEWHERE)
            other = rng.choice(IDS)
            return (
                f"UPDATE users SET id = {other}, {whole} WHERE id = {one} "
                f"AND NOT EXISTS (SELECT FROM users WHERE id = {other})"
            )
        case "t":
            return f"UPDATE users SET {changes} WHERE id <= {one}"
    return f"UPDATE users SET {changes} WHERE id = {one}"


def transactions(rng: random.Random, number: int) -> Iterator[str]:
    for _ in range(number):
        if rng.random() < 0.7:
            yield statement(rng)
            continue
        yield "BEGIN"
        yield from (statement(rng) for _ in range(rng.randrange(1, 5)))
        yield rng.choice(["COMMIT", "COMMIT", "ROLLBACK"])


def alterations(turn: int) -> Iterator[str]:
    """Columns come, get another name, go."""
    yield f"ALTER TABLE users ADD COLUMN extra_{turn} text DEFAULT 'x'"
    if turn >= 3:
        yield f"ALTER TABLE users RENAME COLUMN extra_{turn - 2} TO renamed_{turn - 2}"
    if turn >= 5:
        yield f"ALTER TABLE users DROP COLUMN renamed_{turn - 4}"


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    rng = random.Random(SEED)
    before = [
        TABLE,
        *(f"ALTER TABLE users ALTER {name} SET STORAGE external" for name in ELSEWHERE),
        "CREATE TABLE marks (id int PRIMARY KEY)",
        *transactions(rng, 20),
        "INSERT INTO marks VALUES (0)",
    ]
    with chain(tmp_path_factory.mktemp("cdc"), CONNECTORS, *before) as running:
        yield running


def test_profiles_equal_the_table_after_random_statements(one: Chain) -> None:
    rng = random.Random(SEED + 1)
    topics = [f"{name}.public.{table}" for name in CONNECTORS for table in ("users", "marks")]
    for turn in range(1, ROUNDS + 1):
        # What a table's change does to a row is seen once that is written.
        altered = [*alterations(turn), "UPDATE users SET visits = 0"] if turn % 2 else []
        one.postgres.sql(*transactions(rng, STATEMENTS), *altered, f"INSERT INTO marks VALUES ({turn})")
        rows = [
            json.loads(line, parse_float=Decimal)
            for line in one.postgres.sql("SELECT row_to_json(users) FROM users")
        ]
        for name in CONNECTORS:
            one.written.until(
                lambda: len(of(one, f"{name}.public.marks")) > turn,  # noqa: B023  # asked before the next round
                f"round {turn} of {name}",
                *topics,
            )
            # The mark is in another topic: what was committed before it may still be on its way.
            one.written.until(
                lambda: not differences(one, name, rows) or not one.written.poll(2.0),  # noqa: B023  # asked before the next round
                "the rest",
                *topics,
            )
            assert not differences(one, name, rows), f"HOOKLINE_SEED={SEED}, round {turn} of {name}"


def of(one: Chain, topic: str) -> list[Message]:
    """Return the messages of a topic."""
    return [message for message in one.written.messages if message.source == f"{topic}/0"]


def differences(one: Chain, name: str, rows: list[dict[str, Any]]) -> list[Any]:
    """Return where what is known of the users is not what is in the table."""
    users = profiles(record for message in of(one, f"{name}.public.users") for record in read(message))
    found: list[Any] = [{*users} ^ {str(row["id"]) for row in rows}] if len(users) != len(rows) else []
    for row in rows:
        known = users.get(str(row["id"]), {})
        found += sorted(known.keys() - row.keys())
        found += [
            (row["id"], column, str(known.get(column, "missing"))[:80], str(truth)[:80])
            for column, truth in row.items()
            if column not in known or not is_same(known[column], truth)
        ]
    return found
