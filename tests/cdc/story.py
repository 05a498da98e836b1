"""What happens to the tables whose changes are kept for the tests, and how each connector writes them."""

from __future__ import annotations

PLAIN = {
    "key.converter": "org.apache.kafka.connect.json.JsonConverter",
    "key.converter.schemas.enable": "false",
    "value.converter": "org.apache.kafka.connect.json.JsonConverter",
    "value.converter.schemas.enable": "false",
}
WITH_SCHEMAS = PLAIN | {"key.converter.schemas.enable": "true", "value.converter.schemas.enable": "true"}
DELETES = "transforms.unwrap.delete.tombstone.handling.mode"
FLAT = {
    "transforms": "unwrap",
    "transforms.unwrap.type": "io.debezium.transforms.ExtractNewRecordState",
}

CONNECTORS: dict[str, dict[str, str]] = {
    # What a connector does that nobody has tuned, as far as JSON without schemas lets it.
    "plain": PLAIN
    | {
        "provide.transaction.metadata": "true",
        "heartbeat.interval.ms": "300",
        "skipped.operations": "none",
        "hstore.handling.mode": "map",
    },
    "text": PLAIN | {"decimal.handling.mode": "string", "time.precision.mode": "isostring"},
    "schemas": WITH_SCHEMAS | {"skipped.operations": "none", "hstore.handling.mode": "map"},
    "connect": WITH_SCHEMAS | {"decimal.handling.mode": "double", "time.precision.mode": "connect"},
    "iso": WITH_SCHEMAS | {"decimal.handling.mode": "string", "time.precision.mode": "isostring"},
    "nano": WITH_SCHEMAS | {"time.precision.mode": "nanoseconds", "binary.handling.mode": "hex"},
    "flat": PLAIN | FLAT | {"transforms.unwrap.add.fields": "op,table,lsn,source.ts_ms"},
    "flat_rewrite": WITH_SCHEMAS
    | FLAT
    | {
        DELETES: "rewrite",
        "transforms.unwrap.add.fields": "op,source.lsn",
    },
    "flat_both": PLAIN | FLAT | {DELETES: "rewrite-with-tombstone"},
    "flat_bare": PLAIN | FLAT | {DELETES: "delete-to-tombstone"},
}
"""By the prefix of their topics."""

FULL = ("plain", "schemas")
"""Connectors whose messages are kept whole; of the others the table of users is."""

LONG = 500
"""Five columns of it are more than PostgreSQL keeps in the row itself: all of them go elsewhere (TOAST)."""

WIDE = [
    "ids",
    "blobs",
    "longs",
    "flags",
    "ratios",
    "stamps",
    "zoned",
    "jsons",
    "moods",
    "amounts",
    "days",
    "wide",
    "span",
    "loose",
]

TABLES = (
    "CREATE EXTENSION hstore",
    "CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy')",
    """CREATE TABLE users (
        id int PRIMARY KEY, mail text, plan varchar(20), active boolean, visits bigint, small smallint,
        balance numeric(12,2), huge numeric(38,0), fine numeric(40,20), loose numeric, ratio double precision,
        single real, created timestamp(6), created_ms timestamp(3), seen timestamptz, born date, wake time(6),
        wake_ms time(3), wake_zone timetz, data jsonb, doc json, token uuid, avatar bytea, tags text[],
        scores int[], amounts numeric(8,2)[], days date[], mood mood, span interval, ip inet, flags bit(9),
        attrs hstore, bio text, photo bytea, notes jsonb, places text[], more hstore, password_hash text)
        WITH (toast_tuple_target = 128)""",
    *(
        f"ALTER TABLE users ALTER {name} SET STORAGE external"
        for name in ("bio", "photo", "notes", "places", "more")
    ),
    # What is unavailable there comes as null, which nothing can tell from a null.
    *(f"ALTER TABLE users ALTER {name} SET STORAGE plain" for name in ("amounts", "days")),
    # Long values of every other type that PostgreSQL may keep elsewhere.
    """CREATE TABLE wide (id int PRIMARY KEY, plan text, ids uuid[], blobs bytea[], longs bigint[],
        flags bool[], ratios float8[], stamps timestamp[], zoned timestamptz[], loose numeric, jsons jsonb[],
        moods mood[],
        amounts numeric(8,2)[], days date[], wide xml, span tstzrange[]) WITH (toast_tuple_target = 128)""",
    *(f"ALTER TABLE wide ALTER {name} SET STORAGE external" for name in WIDE),
    # A key of two columns, and old rows kept whole.
    "CREATE TABLE members (tenant text, id int, role text, bio text, PRIMARY KEY (tenant, id))",
    "ALTER TABLE members ALTER bio SET STORAGE external",
    "ALTER TABLE members REPLICA IDENTITY FULL",
    # Known by a column that is no key.
    """CREATE TABLE accounts (
        number serial PRIMARY KEY, owner uuid NOT NULL, seat int NOT NULL, plan text NOT NULL)""",
    "CREATE TABLE altered (id int PRIMARY KEY, mail text, plan text)",
    "CREATE TABLE marks (id int PRIMARY KEY)",
)

ROW = f"""INSERT INTO users VALUES (
    {{id}}, 'ann@example.com', 'free', true, 9007199254740993, -7,
    1234.50, 12345678901234567890123456789012345678, 0.12345678901234567891, 3.14, 0.1,
    1.5, '2026-11-28 10:00:00.123456', '2026-11-28 10:00:00.123', '2026-11-28 12:00:00.5+02', '1990-02-28',
    '07:30:00.000001', '07:30:00.25', '07:30:00+02', '{{{{"a": [1, 2.50, null], "b": {{{{"c": "d"}}}}}}}}',
    '{{{{"x":  1}}}}', '0b0e5b52-4b1c-4f0c-9d3e-3a9c1d1f0a11', '\\x00ff10', '{{{{"red","two words"}}}}',
    '{{{{1,2,null}}}}', '{{{{1.50,2.25}}}}', '{{{{2026-11-28}}}}', 'happy', '1 day 02:00:00', '10.0.0.1',
    B'101010101',
    'k=>v, n=>NULL', repeat('b', {LONG}), decode(repeat('ab', {LONG}), 'hex'),
    jsonb_build_object('long', repeat('n', {LONG})), ARRAY[repeat('p', {LONG}), 'q'],
    hstore('long', repeat('m', {LONG})), 'secret')"""

BEFORE = (
    ROW.format(id=1),
    "INSERT INTO users (id) VALUES (2)",
    """INSERT INTO users
        (id, mail, created, seen, born, wake, balance, huge, loose, visits, ratio, tags) VALUES (
        3, 'Ærø 🎈', '0044-03-15 12:00:00 BC', 'infinity', '-infinity', '24:00:00', -0.01, -1, -12e20, -1,
        -1e300, '{}')""",
    """INSERT INTO wide SELECT 1, 'free', array_fill('0b0e5b52-4b1c-4f0c-9d3e-3a9c1d1f0a11'::uuid, n),
        array_fill('\\x00ff'::bytea, n), array_fill(9007199254740993, n), array_fill(true, ARRAY[400]),
        array_fill(0.1::float8, n), array_fill('2026-11-28 10:00:00'::timestamp, n),
        array_fill('2026-11-28 10:00:00+00'::timestamptz, n), repeat('1', 900)::numeric + 0.5,
        array_fill('{"a": 1}'::jsonb, n), array_fill('ok'::mood, n), array_fill(1.5::numeric(8,2), n),
        array_fill('2026-11-28'::date, ARRAY[120]), ('<a>' || repeat('x', 400) || '</a>')::xml,
        array_fill('[2026-11-28,2026-11-29)'::tstzrange, n) FROM (SELECT ARRAY[40] AS n) AS length""",
    "INSERT INTO members VALUES ('acme', 7, 'owner', repeat('b', 2500)), ('acme', 8, 'guest', NULL)",
    "INSERT INTO accounts (owner, seat, plan) VALUES ('11111111-1111-1111-1111-111111111111', 4, 'free')",
    "INSERT INTO altered VALUES (1, 'one', 'free'), (2, 'two', 'free')",
)
"""In the tables when the connectors begin: their snapshot."""

AFTER = (
    ROW.format(id=4),
    # The long columns are not touched, so they are not in the log.
    "UPDATE users SET plan = 'pro', visits = visits + 1 WHERE id = 1",
    "UPDATE users SET mail = NULL, balance = 0, data = NULL WHERE id = 4",
    "UPDATE users SET bio = 'short now' WHERE id = 4",
    "UPDATE users SET seen = '1969-12-31 23:59:59.999999+00' WHERE id = 2",
    "UPDATE users SET created = '1969-12-31 23:59:59.999999' WHERE id = 2",
    "UPDATE users SET loose = 100, huge = 18446744073709551615, fine = 1, attrs = '' WHERE id = 2",
    "UPDATE users SET id = 40 WHERE id = 4",
    "DELETE FROM users WHERE id = 3",
    "INSERT INTO users (id, mail) VALUES (3, 'again@example.com')",
    "BEGIN",
    "INSERT INTO users (id, mail) VALUES (5, 'five')",
    "UPDATE users SET plan = 'b' WHERE id = 5",
    "COMMIT",
    "BEGIN",
    "UPDATE users SET plan = 'never' WHERE id = 5",
    "ROLLBACK",
    "UPDATE members SET role = 'admin' WHERE id = 7",
    "DELETE FROM members WHERE id = 8",
    "INSERT INTO members VALUES ('acme', 9, 'guest', repeat('b', 2500))",
    "UPDATE wide SET plan = 'pro'",
    "UPDATE members SET tenant = 'umbrella' WHERE id = 9",
    "UPDATE accounts SET plan = 'pro'",
    "SELECT pg_logical_emit_message(true, 'hookline', 'hello')",
    "SELECT pg_logical_emit_message(false, 'hookline', 'hello again')",
    "ALTER TABLE altered ADD COLUMN score int DEFAULT 5",
    "UPDATE altered SET score = 6 WHERE id = 1",
    "ALTER TABLE altered RENAME COLUMN mail TO email",
    "UPDATE altered SET email = 'one@example.com' WHERE id = 1",
    "ALTER TABLE altered DROP COLUMN plan",
    "UPDATE altered SET score = 7 WHERE id = 1",
    "DELETE FROM accounts",
    "TRUNCATE accounts",
)
