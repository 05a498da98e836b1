"""Any stream through the real flow gives what the model says, however it is cut, spread or interrupted."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.compile.snapshot import compile_config
from pipeline.config.files import read_config
from pipeline.config.job import load_pipeline
from pipeline.decode.decode import decode
from pipeline.job.trials.rehearse import Rehearsal
from pipeline.model.records import Invalid, Origin
from tests.job.model import Model, Request
from tests.job.modelled import canonical, write_config
from tests.kit.examples import examples
from tests.kit.programs.inprocess import run_flow

pytestmark = pytest.mark.usefixtures("unsynced")

USERS = st.sampled_from(["u1", "u2", "u3", "ü"])
GUESTS = st.sampled_from(["a1", "a2", "a3"])
WHO = st.one_of(
    st.fixed_dictionaries({"user_id": USERS}),
    st.fixed_dictionaries({"anonymous_id": GUESTS}),
    st.fixed_dictionaries({"user_id": USERS, "anonymous_id": GUESTS}),
)
PROPERTIES = st.fixed_dictionaries(
    {},
    optional={
        "plan": st.sampled_from(["free", "pro", "team", None, 1, True, 1.0]),
        "name": st.sampled_from(["Ann", "", "Jürgen 💥", ["a", {"b": 1}]]),
        "age": st.integers(0, 2),
    },
)
EVENT = st.builds(
    lambda who, name, time, id, properties: (
        {"type": "event", **who, "name": name, "time": time, "properties": properties}
        | ({"id": id} if id else {})
    ),
    WHO,
    st.sampled_from(["Purchase", "Visit", "Never heard of"]),
    st.integers(1_750_000_000, 1_750_020_000),  # late and out of order
    st.none() | st.integers(0, 10**9).map(str),
    st.fixed_dictionaries({"n": st.integers(0, 99)}, optional={"amount": st.integers(5, 15)}),
)
UPDATE = st.builds(
    lambda who, set_, once, unset: {"type": "user", **who, "set": set_, "set_once": once, "unset": unset},
    WHO,
    PROPERTIES,
    PROPERTIES,
    st.lists(st.sampled_from(["plan", "name"]), max_size=1),
)
LINK = st.builds(
    lambda user, guest, set_: {"type": "identify", "user_id": user, "anonymous_id": guest, "set": set_},
    USERS,
    GUESTS,
    PROPERTIES,
)
BROKEN = st.sampled_from([b"{", b"17", b'{"type":"nonsense"}', b'{"type":"event","name":"x"}', b"\xff\xfe"])
RECORD = EVENT | UPDATE | LINK
LINES = st.lists(
    st.one_of(
        RECORD.map(lambda record: json.dumps(record).encode()),
        RECORD.map(lambda record: json.dumps(record, ensure_ascii=False).encode()),
        st.lists(RECORD, min_size=1, max_size=4).map(lambda records: json.dumps(records).encode()),
        BROKEN,
    ),
    max_size=60,
)


def unique_ids(lines: list[bytes]) -> bytes:
    """Return the stream; what an upstream sends twice under one id is another test's subject."""
    seen: set[Any] = set()
    kept = []
    for line in lines:
        try:
            value = json.loads(line)
        except ValueError:
            value = {}
        for record in value if isinstance(value, list) else [value]:
            if isinstance(record, dict) and "id" in record:
                if record["id"] in seen:
                    del record["id"]
                else:
                    seen.add(record["id"])
        kept.append(line if line in (b"{", b"\xff\xfe") else json.dumps(value, ensure_ascii=False).encode())
    return b"".join(line + b"\n" for line in kept)


def expected(stream: bytes) -> Model:
    model, offset = Model(), 0
    for line in stream.splitlines(keepends=True):
        model.line("stream.jsonl", offset, line)
        offset += len(line)
    return model


def differences(sent: list[Request], model: Model) -> dict[str, list[Request]]:
    return {
        "missing": sorted(model.requests - set(sent)),
        "not wanted": sorted(set(sent) - model.requests),
        "twice": sorted({one for one in sent if sent.count(one) > 1}),
    }


def rehearsed(folder: Path, stream: bytes) -> list[tuple[str, str, bytes]]:
    """Return what the records fire in memory, in their order."""
    job = load_pipeline(folder / "config", environ={}).require()
    text = read_config(folder / "config", defaults=job.defaults)
    run = Rehearsal(compile_config(text, secrets=None).require())
    fired, offset = [], 0
    for line in stream.splitlines(keepends=True):
        for record in decode(line[:-1], origin=Origin("stream.jsonl", offset)):
            if not isinstance(record, Invalid):
                fired += [one for one in run.rehearse(record) if not one.suppressed]
        offset += len(line)
    rendered = [(one.message_id, one.request) for one in fired]
    return [(name, one.url, one.body) if one is not None else (name, "", b"") for name, one in rendered]


NONE: dict[str, list[Request]] = {"missing": [], "not wanted": [], "twice": []}


@given(
    lines=LINES,
    chunk=st.sampled_from([1, 2, 7, 200]),
    shards=st.sampled_from([1, 2, 3, 8]),
    epoch=st.sampled_from(["1ms", "5ms", "1s"]),
)
@settings(max_examples=examples(80), deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_flow_sends_what_the_model_says(lines: list[bytes], chunk: int, shards: int, epoch: str) -> None:
    stream = unique_ids(lines)
    model = expected(stream)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_config(folder)
        (folder / "stream.jsonl").write_bytes(stream)
        sent, summary = run_flow(folder, shards=shards, epoch=epoch, chunk=chunk)
        assert differences(canonical(sent), model) == NONE
        assert summary is not None
        assert summary["records"]["invalid"] == model.invalid
        webhooks = summary["webhooks"].values()
        assert sum(numbers["delivered"] for numbers in webhooks) == len(model.requests)


@given(lines=LINES, chunk=st.sampled_from([1, 7, 200]), shards=st.sampled_from([1, 3]))
@settings(max_examples=examples(30), deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_rehearsal_fires_what_the_job_sends(lines: list[bytes], chunk: int, shards: int) -> None:
    stream = unique_ids(lines)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_config(folder)
        (folder / "stream.jsonl").write_bytes(stream)
        sent, _ = run_flow(folder, shards=shards, chunk=chunk)
        fired = rehearsed(folder, stream)
        assert sorted(fired) == sorted(sent)
        if shards == 1:
            assert fired == sent


@given(
    lines=LINES,
    chunk=st.sampled_from([1, 7, 200]),
    shards=st.sampled_from([1, 3]),
    ends=st.lists(st.tuples(st.sampled_from(["stop", "crash"]), st.integers(1, 25)), max_size=3),
)
@settings(max_examples=examples(50), deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_stops_and_crashes_in_between_change_nothing(
    lines: list[bytes], chunk: int, shards: int, ends: list[tuple[str, int]]
) -> None:
    stream = unique_ids(lines)
    model = expected(stream)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_config(folder)
        (folder / "stream.jsonl").write_bytes(stream)
        everything: list[tuple[str, str, bytes]] = []
        for how, after in ends:
            end: dict[str, Any] = {f"{how}_after": after}
            sent, _ = run_flow(folder, shards=shards, epoch="2ms", chunk=chunk, **end)
            everything += sent
        sent, summary = run_flow(folder, shards=shards, epoch="2ms", chunk=chunk)
        everything += sent
        assert differences(canonical(everything), model) == NONE
        assert summary is not None
        assert summary["records"]["invalid"] == model.invalid
        assert sum(n["delivered"] for n in summary["webhooks"].values()) == len(model.requests)


def test_an_identify_with_properties_may_fire_twice_and_loses_neither(tmp_path: Path) -> None:
    lines = [
        {"type": "user", "anonymous_id": "a1", "set": {"plan": "pro"}},
        {"type": "identify", "user_id": "u1", "anonymous_id": "a1", "set": {"name": "Ann"}},
    ]
    stream = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    write_config(tmp_path)
    (tmp_path / "stream.jsonl").write_bytes(stream)
    sent, summary = run_flow(tmp_path)
    assert differences(canonical(sent), expected(stream)) == NONE
    assert [json.loads(body)["changed"] for _, _, body in sent] == [
        {"plan": "pro"},
        {"plan": "pro"},
        {"name": "Ann"},
    ]
    assert summary is not None
    assert summary["webhooks"]["changed"]["delivered"] == 3


@pytest.mark.parametrize("shards", [1, 8])
def test_a_run_without_anything_new_sends_nothing(tmp_path: Path, shards: int) -> None:
    write_config(tmp_path)
    (tmp_path / "stream.jsonl").write_text(
        '{"type":"event","name":"Visit","user_id":"u","time":1750000000}\n'
    )
    first, _ = run_flow(tmp_path, shards=shards)
    assert len(first) == 2
    again, summary = run_flow(tmp_path, shards=shards)
    assert again == []
    assert summary is not None
    assert summary["webhooks"]["all"]["delivered"] == 1
