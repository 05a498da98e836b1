"""Proposals for home-made streams: they compile, they understand, and they find what is there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.compile.shapes import compile_own
from pipeline.operate.sniff.sample import sample_files
from pipeline.operate.sniff.sniff import Sniffed, sniff, told
from tests.decode.mapped.test_home_made_streams import STREAMS as MAPPED
from tests.kit.examples import examples
from tests.operate.sniff.streams import STREAMS, records


def sniffed(folder: Path, lines: list[Any], name: str = "stream.jsonl") -> Sniffed:
    path = folder / name
    path.write_bytes(
        b"".join(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n" for line in lines)
    )
    return sniff(sample_files([str(path)]))


@pytest.mark.parametrize("name", STREAMS)
def test_a_home_made_stream_gets_a_shape_that_understands_it(name: str, tmp_path: Path) -> None:
    found = sniffed(tmp_path, records(name), "scores.jsonl" if "scores" in name else "stream.jsonl")
    assert [(row.shape, row.records) for row in found.found] == [("home-made", 40)]
    (made,) = found.proposals
    assert made.understood >= STREAMS[name].least * made.records, made.reasons
    assert compile_own(made.name, made.text).name == made.name
    assert max(map(len, made.text.splitlines())) <= 100, made.text
    first = [one for _, some in made.first for one in told(some)]
    wanted = STREAMS[name].first
    assert any(wanted.items() <= one.items() for one in first), (made.text, first)


def test_a_record_or_two_of_a_stream_are_enough_for_most(tmp_path: Path) -> None:
    understood = {}
    for name, (_, lines) in MAPPED.items():
        made = sniffed(tmp_path, [line for line, _ in lines]).proposals
        understood[name] = made[0].understood / made[0].records if made else 0.0
    whole = [name for name, share in understood.items() if share >= 0.9]
    # A line of a log that is no JSON is in no entry; an id that stands in a path alone is not looked for.
    assert set(MAPPED) - set(whole) == {"events inside of log lines", "requests of an API"}


def test_a_row_of_users_that_is_gone_is_forgotten_and_no_update(tmp_path: Path) -> None:
    (made,) = sniffed(
        tmp_path,
        [
            {"op": "upsert", "table": "users", "row": {"uid": 5, "plan": "free"}},
            {"op": "upsert", "table": "users", "row": {"uid": 6, "plan": "pro"}},
            {"op": "delete", "table": "users", "row": {"uid": 5}},
            {"op": "insert", "table": "orders", "row": {"order_id": 1, "uid": 6, "sum": 12.5}},
        ],
    ).proposals
    first = {place: list(told(some)) for place, some in made.first}
    assert first["line 1"][0]["set"] == {"uid": 5, "plan": "free"}
    assert first["line 3"][0]["delete"] is True
    assert first["line 4"][0]["properties"]["sum"] == 12.5


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        ({"id": 1, "name": "Ann", "email": "a@x.example", "plan": "pro"}, "user"),
        ({"user_id": 1, "name": "Ann", "email": "a@x.example", "updated_at": "2026-01-01T00:00:00Z"}, "user"),
        ({"userId": 1, "name": "Ann", "plan": "pro"}, "user"),
        ({"userId": 1, "name": "Clicked", "plan": "pro"}, "event"),
        ({"userId": 1, "name": "Ann", "ts": 1795435200, "amount": 1}, "event"),
    ],
)
def test_what_users_are_called_is_no_event(row: dict[str, Any], kind: str, tmp_path: Path) -> None:
    rows = []
    for at in (1, 2, 3, 2, 4):
        own = {"id": at, "user_id": at, "userId": at, "email": f"{at}@x.example"}
        if row["name"] == "Ann":
            own["name"] = f"Ann {at}"
        rows.append({name: own.get(name, value) for name, value in row.items()})
    (made,) = sniffed(tmp_path, rows).proposals
    assert {one["type"] for _, some in made.first for one in told(some)} == {kind}, made.text


def test_nothing_is_lost_that_stands_beside_the_bag(tmp_path: Path) -> None:
    line = {
        "uid": 7,
        "event": "A",
        "ts": 1795435200,
        "data": {"a": 1},
        "shop": "b",
        "meta": {"id": "m1", "v": 2},
    }
    (made,) = sniffed(tmp_path, [line]).proposals
    (event,) = told(made.first[0][1])
    assert event["properties"] == {"a": 1}
    assert event["context"] == {"shop": "b", "meta": {"id": "m1", "v": 2}}


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (1795435200, "{path: at, unit: s}"),
        ("1795435200.5", "{path: at, unit: s}"),
        (1795435200000, "{path: at, unit: ms}"),
        (1795435200000000, "{path: at, unit: us}"),
        (1795435200000000000, "{path: at, unit: ns}"),
        ("2026-11-23T12:00:00+01:00", "at"),
        ("2026-11-23 12:00:00", "at"),
        ("20261123120000", '{path: at, format: "%Y%m%d%H%M%S"}'),
        ("23.11.2026 12:00:00", '{path: at, format: "%d.%m.%Y %H:%M:%S"}'),
        ("11/23/2026 1:05 PM", '{path: at, format: "%m/%d/%Y %I:%M %p"}'),
        ("23/Nov/2026:12:00:00 +0100", '{path: at, format: "%d/%b/%Y:%H:%M:%S %z"}'),
    ],
)
def test_a_time_is_read_in_its_unit_or_form(value: object, said: str, tmp_path: Path) -> None:
    (made,) = sniffed(tmp_path, [{"uid": 1, "event": "A", "at": value}]).proposals
    assert f"time: {said}" in made.text
    assert made.understood == 1
    (event,) = told(made.first[0][1])
    assert 1795000000000 < event["time"] < 1796000000000


def test_records_that_no_entry_reads_are_told_with_their_reasons(tmp_path: Path) -> None:
    lines = [{"uid": n, "event": "A", "ts": 1795435200 + n} for n in range(98)]
    (made,) = sniffed(tmp_path, [*lines, {"odd": "x y"}, {"uid": 5, "event": "A", "ts": "soon"}]).proposals
    assert (made.understood, made.records) == (98, 100)
    assert {place for _, _, place in made.reasons} == {"line 99", "line 100"}
    assert any("'soon' is no number of s" in reason for reason, _, _ in made.reasons)


def test_a_name_that_means_something_in_a_config_is_not_said(tmp_path: Path) -> None:
    """Placeholders of secrets, paths with odd signs and YAML's own words come from strangers here."""
    odd = [
        "${HOME}",
        "{{ x }}",
        "true",
        "null",
        "a: b",
        "#",
        "- x",
        "'",
        '"',
        "\\",
        "\u2028",
        "\x1b[2J",
        "each",
        "^",
    ]
    lines = [{name: "v1", "user_id": 7, "event": name, "kind": name, "ts": 1795435200} for name in odd]
    (made,) = sniffed(tmp_path, lines).proposals
    assert made.understood == len(odd)
    assert "\x1b" not in made.text
    assert "${" not in "".join(line.partition("  #")[0] for line in made.text.splitlines())


KEYS = st.sampled_from(
    [
        *(
            "uid",
            "user",
            "id",
            "type",
            "event",
            "ts",
            "time",
            "payload",
            "kind",
            "op",
            "row",
            "message",
            "each",
        ),
        *("items", "events", "", "a b", "${X}", "'", '"', "^", ".", "*", "text", "path", "{{x}}", "schema"),
        *("before", "properties", "email"),
    ]
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=12),
    st.sampled_from(["", "u1", "2026-11-23T12:00:00Z", "1795435200", '{"uid":1}', "delete", "login"]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=5)),
    max_leaves=12,
)
LINES = st.lists(
    st.dictionaries(KEYS, VALUES, max_size=6).map(json.dumps) | VALUES.map(json.dumps), max_size=6
)


@settings(max_examples=examples(60), deadline=None)
@given(lines=LINES)
def test_no_lines_bring_it_down_and_what_it_proposes_runs(
    lines: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp() / "any"
    folder.mkdir(exist_ok=True)
    found = sniffed(folder, [line.encode("utf-8", "replace") + b"\n" for line in lines])
    found.to_json()
    for made in found.proposals:
        assert compile_own(made.name, made.text)
        assert made.understood > 0


@settings(max_examples=examples(40), deadline=None)
@given(raw=st.binary(max_size=200))
def test_no_bytes_bring_it_down(raw: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.getbasetemp() / "bytes"
    folder.mkdir(exist_ok=True)
    sniffed(folder, [raw]).to_json()
