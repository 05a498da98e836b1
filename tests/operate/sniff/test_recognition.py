"""Which shape a record has: the vendors' own samples, mixtures, and files that hold no JSON lines."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import zstandard

from pipeline.decode.builtin.exports.snowplow_tsv import NAMES
from pipeline.decode.framed.schemas import SCHEMAS
from pipeline.model.errors import ConfigError, UsageError
from pipeline.operate.sniff.sample import MOST_RECORDS, sample_files
from pipeline.operate.sniff.sniff import Sniffed, sniff
from pipeline.sources.files.lines.recorded import Message, dump_line
from tests.decode.builtin.exports import samples
from tests.decode.builtin.exports.test_captures import bodies
from tests.decode.connect.captured import FOLDER
from tests.kit.receivers.registry import a_registry, avro, framed

VENDORS: dict[str, str] = {
    "AMPLITUDE": "amplitude",
    "MIXPANEL": "mixpanel",
    "SNOWPLOW": "snowplow",
    "GA4": "ga4",
    "CAPTURED": "posthog",
    "CLICKHOUSE": "posthog",
    "EXPORTED": "posthog",
    "POSTHOG": "posthog",
    "JITSU": "jitsu",
    "SEGMENT": "segment",
    "RUDDER": "segment",
    "HEAP": "heap",
    "NATIVE": "native",
    "CLOUDEVENT": "cloudevents",
}


def of_lines(folder: Path, *lines: Any, name: str = "s.jsonl", config: Path | None = None) -> Sniffed:
    path = folder / name
    path.write_bytes(
        b"".join((one if isinstance(one, bytes) else json.dumps(one).encode()) + b"\n" for one in lines)
    )
    return sniff(sample_files([str(path)]), config)


def counts(found: Sniffed) -> dict[str, int]:
    return {row.shape: row.records for row in found.found}


@pytest.mark.parametrize("before", [b"\xef\xbb\xbf", bytes(900)])
def test_a_byte_order_mark_or_a_hole_may_stand_before_any_record(tmp_path: Path, before: bytes) -> None:
    native = json.dumps({"type": "event", "name": "X", "user_id": "u1", "properties": {"a": 1}}).encode()
    assert counts(of_lines(tmp_path, native, before + native)) == {"native": 2}


def test_the_samples_of_every_vendor_are_of_its_format(tmp_path: Path) -> None:
    seen = set()
    for name, sample in vars(samples).items():
        format = VENDORS.get(name.partition("_")[0]) if isinstance(sample, dict) else None
        if format is None:
            continue
        line = samples.tsv(sample, NAMES) if name == "SNOWPLOW_TSV" else sample
        found = of_lines(tmp_path, line)
        assert counts(found) == {format: 1}, name
        assert found.understood == 1, name
        assert set(found.formats.values()) == {format}
        assert found.proposals == []
        seen.add(format)
    assert seen == set(VENDORS.values())


@pytest.mark.parametrize(
    ("path", "format"), [("/2/httpapi", "amplitude"), ("/track", "mixpanel"), ("/v1/batch", "segment")]
)
def test_what_sdks_sent_is_of_their_format(path: str, format: str, tmp_path: Path) -> None:
    sent = [json.loads(body) for body in bodies(path)]
    assert counts(of_lines(tmp_path, *sent)) == {format: len(sent)}


def test_shapes_are_counted_and_what_fits_none_is_proposed_for(tmp_path: Path) -> None:
    home = {"uid": 1, "event": "x", "ts": 1795435200}
    found = of_lines(tmp_path, samples.SEGMENT, home, home, b"no json", samples.NATIVE, home, [1, 2])
    assert counts(found) == {"home-made": 3, "segment": 1, "no JSON": 1, "native": 1, "no object": 1}
    assert found.understood == 5
    assert next(iter(found.formats.values())) == "s"
    assert "holds records of several shapes" in found.notes[0]
    broken = next(row for row in found.found if row.shape == "no JSON")
    assert broken.place == "line 4"
    assert "not JSON" in str(broken.reason)


def test_shapes_that_auto_tells_apart_need_no_setting(tmp_path: Path) -> None:
    found = of_lines(tmp_path, samples.SEGMENT, samples.NATIVE, samples.HEAP)
    assert set(found.formats.values()) == {"auto"}
    assert found.notes == []


def test_a_broken_record_of_a_known_shape_is_its_dead_letter_and_no_shape_of_its_own(tmp_path: Path) -> None:
    found = of_lines(tmp_path, samples.NATIVE, {"type": "event", "name": "A"}, samples.NATIVE)
    assert counts(found) == {"native": 3}
    (row,) = found.found
    assert (row.unread, row.place) == (1, "line 2")
    assert "neither `user_id` nor `anonymous_id`" in str(row.reason)
    assert found.proposals == []
    # Where none of them can be read, a field that is called `type` says nothing.
    found = of_lines(tmp_path, *[{"type": "event", "what": "A", "uid": 7, "at": 1795435200}] * 3)
    assert counts(found) == {"home-made": 3}
    assert found.understood == 3


def test_home_made_records_that_look_like_a_vendors_stay_home_made(tmp_path: Path) -> None:
    found = of_lines(tmp_path, {"event_type": "paid", "user_id": 7, "ts": 1795435200, "data": {"a": 1}})
    assert counts(found) == {"home-made": 1}
    assert "properties: data" in found.proposals[0].text
    found = of_lines(
        tmp_path, {"op": "update", "before": None, "after": {"id": 1, "email": "a@b.c", "plan": "x"}}
    )
    assert counts(found) == {"home-made": 1}


def test_a_field_that_a_shape_reads_nothing_of_is_named(tmp_path: Path) -> None:
    found = of_lines(tmp_path, {"type": "track", "event": "A", "userId": "u", "attributes": {"a": 1}})
    assert found.lost == [("segment", "attributes", 1)]
    assert "`segment` finds no time in 1 of 1 events" in found.notes[0]
    found = sniff(sample_files([str(tmp_path / "s.jsonl")]), own_for_all=True)
    assert counts(found) == {"home-made": 1}
    assert "properties: attributes" in found.proposals[0].text


def test_own_shapes_of_the_config_are_tried(tmp_path: Path) -> None:
    folder = tmp_path / "config" / "shapes"
    folder.mkdir(parents=True)
    (folder / "shop.yaml").write_text("name: shop\nrecords:\n- event: {name: what, user_id: whom}\n")
    found = of_lines(tmp_path, {"what": "A", "whom": 7}, config=tmp_path / "config")
    assert counts(found) == {"shop": 1}
    assert set(found.formats.values()) == {"shop"}
    (folder / "bad.yaml").write_text("name: bad\nrecords: 7\n")
    found = of_lines(tmp_path, {"what": "A", "uid": 7}, config=tmp_path / "config")
    assert "were not tried" in found.notes[0]


def test_records_of_debezium_and_connect_are_recognised(tmp_path: Path) -> None:
    path = next(iter(sorted(FOLDER.glob("*.rec.jsonl*"))))
    found = sniff(sample_files([str(path)]))
    assert set(counts(found)) <= {"debezium", "no value (tombstone)"}
    assert "debezium" in found.formats.values()
    assert found.understood == found.records
    wrapped = {"schema": {"type": "struct", "fields": []}, "payload": samples.NATIVE}
    assert counts(of_lines(tmp_path, wrapped)) == {"kafka-connect": 1}
    home = {"schema": {"type": "struct"}, "payload": {"uid": 7, "event": "A", "ts": 1795435200}}
    found = of_lines(tmp_path, home)
    assert counts(found) == {"home-made": 1}
    assert "user_id: payload.uid" in found.proposals[0].text


def test_framed_records_tombstones_and_headers_of_a_recording(tmp_path: Path) -> None:
    messages = [
        Message("orders/0", 1, 1795435200000, b"k1", None, b"\0\0\0\0\x07" + b"avro"),
        Message("users/0", 2, 1795435200000, b"u1", None, None),
        Message("users/0", 3, 1795435200000, b"u1", [("event", b"Opened")], b'{"door":3}'),
    ]
    path = tmp_path / "t.rec.jsonl"
    path.write_bytes(b"".join(map(dump_line, messages)))
    found = sniff(sample_files([str(path)]))
    assert counts(found) == {"framed for a schema registry": 1, "no value (tombstone)": 1, "home-made": 1}
    framed = next(row for row in found.found if row.shape.startswith("framed"))
    assert str(framed.reason).endswith("of the schema 7")
    assert found.topics == {"orders", "users"}
    assert found.formats["orders"] == '{avro: {registry: "http://registry:8081"}}'


def test_json_in_the_frame_of_a_registry_is_looked_into(tmp_path: Path) -> None:
    header = [("__value_schema_id", b"\1" + bytes(range(16)))]
    messages = [
        Message("orders/0", 1, 1795435200000, None, None, b"\0\0\0\0\x07" + HOME.strip()),
        Message("calls/0", 2, 1795435200000, None, header, json.dumps(samples.SEGMENT).encode()),
        Message("other/0", 3, 1795435200000, None, None, b"\3\0" + bytes(20)),
        Message("other/0", 4, 1795435200000, None, None, bytes(8) + b"\7avro"),
    ]
    path = tmp_path / "t.rec.jsonl"
    path.write_bytes(b"".join(map(dump_line, messages)))
    found = sniff(sample_files([str(path)]))
    assert counts(found) == {"home-made": 1, "segment": 1, "framed for a schema registry": 2}
    assert found.proposals[0].understood == 1
    assert found.formats == {
        "orders": "{json_schema: {then: orders}}",
        "calls": "{json_schema: {then: segment}}",
    }
    framed = next(row for row in found.found if row.shape.startswith("framed"))
    assert "AWS Glue" in str(framed.reason)


ORDER = {
    "type": "record", "name": "Order", "fields": [
        {"name": "action", "type": "string"}, {"name": "uid", "type": "long"},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    ],
}  # fmt: skip


def test_avro_is_looked_into_with_the_schemas_of_its_registry(tmp_path: Path) -> None:
    paid = {"action": "Paid", "at": datetime(2026, 11, 23, 12, tzinfo=UTC)}
    messages = [
        Message("orders/0", n, None, None, None, framed(7, avro(ORDER, {**paid, "uid": n}))) for n in range(3)
    ]
    path = tmp_path / "t.rec.jsonl"
    path.write_bytes(b"".join(map(dump_line, [*messages, messages[0]._replace(value=framed(8, b"?"))])))
    with a_registry() as registry:
        registry.add(7, ORDER)
        found = sniff(sample_files([str(path)]), registry=registry.url)
        assert registry.asked.count("/api/schemas/ids/7") == 1
        config = tmp_path / "config"
        config.mkdir()
        format = f'{{avro: {{registry: "{registry.url}", then: auto}}}}'
        text = f"source: {{kafka: {{brokers: b:9092, topics: {{orders: {{format: {format}}}}}}}}}"
        (config / "pipeline.yaml").write_text(text)
        by_config = sniff(sample_files([str(path)]), config)
    for one in (found, by_config):
        assert counts(one) == {"home-made": 3, "framed for a schema registry": 1}
        assert "name: action" in one.proposals[0].text
        assert one.proposals[0].understood == 3
        assert one.formats["orders"] == f'{{avro: {{registry: "{registry.url}", then: orders}}}}'
    assert "the registry does not have it" in str(found.found[-1].reason)
    SCHEMAS.forget()
    (note,) = sniff(sample_files([str(path)]), registry=registry.url).notes
    assert note.startswith(f"the registry {registry.url} does not say what schema 7 is: ")


HOME = b'{"uid":1,"event":"x","ts":1795435200}\n'


@pytest.mark.parametrize(
    ("name", "raw", "looks"),
    [
        ("a.csv", b"id,name,ts\n1,x,2\n2,y,3\n", "CSV (its columns: id, name, ts)"),
        ("a.tsv", b"id\tname\n1\tx\n", "tab-separated values"),
        ("a.xml", b"<?xml version='1.0'?>\n<a/>\n", "XML"),
        ("a.html", b"<!DOCTYPE html>\n<html>", "an HTML page"),
        ("a.parquet", b"PAR1" + bytes(90), "a Parquet file"),
        ("a.avro", b"Obj\x01" + bytes(90), "an Avro file"),
        ("a.zip", b"PK\x03\x04" + bytes(90), "a zip archive"),
        ("a.bz2", bz2.compress(HOME), "a file compressed with bzip2"),
        ("a.xz", lzma.compress(HOME), "a file compressed with xz"),
        ("a.txt", b"Dear all,\nhello\n", "plain text"),
        ("a.log", b'1.2.3.4 - - [10/Oct/2026:13:55:36 -0700] "GET / HTTP/1.0" 200 2\n', "lines of a log"),
        ("b.log", b"level=info msg=x\nlevel=warn msg=y\n", "logfmt"),
        ("a.yaml", b"a: 1\nb: 2\n", "YAML"),
        ("a.py", b"{'a': 1, 'b': None}\n", "Python's way of writing dicts"),
        ("u.jsonl", HOME.decode().encode("utf-16"), "text in UTF-16"),
        ("n.jsonl", b"1\n2\n", "JSON without objects"),
        ("c.jsonl", b'{"a":1}{"a":2}', "several JSON objects in one line"),
        (
            "s.log",
            b"Nov 29 10:00:00 web app[1]: " + HOME + b"Nov 29 10:00:01 web app[1]: " + HOME,
            "after something else",
        ),
        ("s.txt", b"data: " + HOME + b"\ndata: " + HOME, "after something else"),
        ("k.jsonl", HOME.strip() + b",\n" + HOME.strip() + b",\n", "a comma after each"),
        ("m.jsonl", HOME.strip() + b"\r" + HOME.strip() + b"\r", "end with CR alone"),
        ("p.json", b'[\n  {\n    "uid": 1,\n    "event": NaN\n  }\n]\n', "JSON spread over several lines"),
        ("e.jsonl", b"", "empty"),
        ("e.jsonl", b"\n \n", "empty"),
        ("z.bin", bytes(400), "binary data"),
        ("t.tar", bytes(257) + b"ustar" + bytes(200), "a tar archive"),
    ],
)
def test_a_file_of_no_json_lines_says_what_it_is(name: str, raw: bytes, looks: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(raw)
    sample = sample_files([str(path)])
    (part,) = sample.parts.values()
    assert looks in str(part.looks_like)
    assert part.remedy
    assert sample.records == []


def test_compressed_files_are_read_and_a_cut_one_says_so(tmp_path: Path) -> None:
    for name, raw in (("a.jsonl.gz", gzip.compress(HOME * 3000)), ("a.zst", zstandard.compress(HOME * 3000))):
        (tmp_path / name).write_bytes(raw)
        found = sniff(sample_files([str(tmp_path / name)]))
        assert counts(found) == {"home-made": MOST_RECORDS}
        assert [part.is_whole for part in found.parts] == [False]
    many = b"".join(b'{"uid":%d,"event":"x","ts":1795435200}\n' % (n * n) for n in range(3000))
    (tmp_path / "cut.gz").write_bytes(gzip.compress(many)[:1500])
    found = sniff(sample_files([str(tmp_path / "cut.gz")]))
    assert "ends too early" in str(found.parts[0].looks_like)
    assert found.records > 100
    assert counts(found) == {"home-made": found.records}


def test_one_document_over_several_lines_is_looked_into(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps([json.loads(HOME)] * 3, indent=2))
    found = sniff(sample_files([str(path)]))
    assert counts(found) == {"home-made": 3}
    assert "jq -c '.[]'" in str(found.parts[0].remedy)
    # One of its lines may be JSON of its own.
    path.write_text(f"[\n {HOME.decode().strip()},\n {HOME.decode().strip()}\n]\n")
    found = sniff(sample_files([str(path)]))
    assert counts(found) == {"home-made": 2}
    assert "one JSON document" in str(found.parts[0].looks_like)


def test_several_documents_over_several_lines_are_looked_into(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("".join(json.dumps(json.loads(HOME), indent=2) + "\n" for _ in range(3)))
    found = sniff(sample_files([str(path)]))
    assert counts(found) == {"home-made": 3}
    assert "JSON documents, each over several lines" in str(found.parts[0].looks_like)
    assert "jq -c ." in str(found.parts[0].remedy)
    path.write_text('{\n "huge": 123456789012345678901234567890\n}\n' * 2)  # not a number of 64 bits
    (part,) = sample_files([str(path)]).parts.values()
    assert (part.records, part.looks_like) == (2, "JSON documents, each over several lines")


def test_a_compressed_file_of_which_nothing_can_be_read_is_not_called_empty(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(HOME * 3000)[:12])
    (part,) = sample_files([str(path)]).parts.values()
    assert part.looks_like == "a compressed file that ends too early"


def test_files_share_the_sample_and_a_slip_in_a_name_is_told(tmp_path: Path) -> None:
    for name in ("orders.jsonl", "users.jsonl"):
        (tmp_path / name).write_bytes(HOME * 2000)
    found = sniff(sample_files([str(tmp_path)]))
    assert [part.records for part in found.parts] == [500, 500]
    with pytest.raises(UsageError, match=r"did you mean .*orders\.jsonl"):
        sample_files([str(tmp_path / "order.jsonl")])
    (tmp_path / "none").mkdir()
    with pytest.raises(ConfigError, match="there is no"):
        sample_files([str(tmp_path / "none")])
