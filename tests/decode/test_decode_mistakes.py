"""Every shape's records under every format: right, or a dead letter that says why; never a silent misread."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from pipeline.decode.builtin.exports.snowplow_tsv import NAMES
from pipeline.decode.decode import OUR_FAULT, decode
from pipeline.language.formats import FORMATS
from pipeline.model.records import Invalid, Record
from tests.decode.builtin.exports import samples
from tests.decode.reading import HERE

AUTO = ("native", "heap", "segment", "posthog", "cloudevents")

SAMPLES: dict[str, dict[str, Any]] = {
    "native": {"event": samples.NATIVE, "user": samples.NATIVE_USER, "link": samples.NATIVE_LINK},
    "heap": {
        "event": samples.HEAP,
        "user": samples.HEAP_USER,
        "link": samples.HEAP_LINK,
        "bulk": {"app_id": "11", "events": [{"event": "A", "user_id": 5, "properties": {}}]},
    },
    "segment": {
        "call": samples.SEGMENT,
        "snake": samples.SEGMENT_SNAKE,
        "archive": samples.SEGMENT_ARCHIVE,
        "rudder": samples.RUDDER,
        "identify": {"type": "identify", "userId": "u1", "context": {"traits": {"plan": "pro"}}},
        "batch": {"batch": [samples.SEGMENT], "sentAt": "2026-11-23T12:00:01Z"},
    },
    "posthog": {
        "call": samples.POSTHOG,
        "batch": {"api_key": "phc_x", "batch": [samples.POSTHOG]},
        "captured": samples.CAPTURED,
        "captured by name": {**samples.CAPTURED, "event": "Purchase"},
        "clickhouse": samples.CLICKHOUSE,
        "export": samples.EXPORTED,
        "identify": {"event": "$identify", "distinct_id": "u1", "properties": {"$anon_distinct_id": "a1"}},
    },
    "cloudevents": {"event": samples.CLOUDEVENT},
    "amplitude": {
        "row": samples.AMPLITUDE_ROW,
        "http": {"api_key": "K", "events": [samples.AMPLITUDE_HTTP, samples.AMPLITUDE_IDENTIFY]},
        "single": samples.AMPLITUDE_HTTP,
        "identify": samples.AMPLITUDE_IDENTIFY,
        "identification": {"api_key": "K", "identification": [{"user_id": "u", "user_properties": {"a": 1}}]},
    },
    "mixpanel": {
        "export": samples.MIXPANEL_EXPORT,
        "track": samples.MIXPANEL_TRACK,
        "import": [samples.MIXPANEL_EXPORT],
        "people": samples.MIXPANEL_PEOPLE,
        "profile": samples.MIXPANEL_PROFILE,
        "simplified": {"event": "A", "properties": {"$user_id": "u1", "$device_id": "d", "time": 1795435200}},
        "identify": {"event": "$identify", "properties": {"$identified_id": "u1", "$anon_id": "a1"}},
    },
    "snowplow": {"json": samples.SNOWPLOW_JSON, "text": samples.tsv(samples.SNOWPLOW_TSV, NAMES)},
    "ga4": {"row": samples.GA4_ROW},
    "jitsu": {
        "message": samples.JITSU_MESSAGE,
        "row": samples.JITSU_ROW,
        "legacy": samples.JITSU_LEGACY,
    },
}
PAIRS = [(shape, name) for shape, records in SAMPLES.items() for name in records]

SAME = {
    ("segment", "snake", "native"), ("native", "link", "segment"), ("segment", "snake", "jitsu"),
}  # fmt: skip
"""Records that two shapes read alike."""


def lines(shape: str, name: str, format: str) -> list[Record]:
    record = SAMPLES[shape][name]
    raw = record if type(record) is bytes else orjson.dumps(record)
    return decode(raw, format=format, origin=HERE)


def are_dead(records: list[Record]) -> bool:
    return bool(records) and all(type(one) is Invalid for one in records)


@pytest.mark.parametrize(("shape", "name"), PAIRS)
def test_a_record_is_read_by_its_format(shape: str, name: str) -> None:
    found = lines(shape, name, shape)
    assert found
    assert not any(type(one) is Invalid for one in found), found


@pytest.mark.parametrize(("shape", "name"), PAIRS)
def test_auto_reads_its_own_and_names_the_format_of_the_others(shape: str, name: str) -> None:
    found = lines(shape, name, "auto")
    if shape in AUTO:
        assert found == lines(shape, name, shape)
        return
    for dead in found:
        assert type(dead) is Invalid, dead
        assert f"set `format: {shape}`" in dead.reason


@pytest.mark.parametrize("format", [one for one in FORMATS if one != "auto"])
def test_no_format_takes_another_shapes_record_for_its_own(format: str) -> None:
    taken = [
        (shape, name, format)
        for shape, name in PAIRS
        if shape != format
        and not are_dead(found := lines(shape, name, format))
        and not ((shape, name, format) in SAME and found == lines(shape, name, shape))
    ]
    assert taken == []


@pytest.mark.parametrize(("shape", "name"), PAIRS)
@pytest.mark.parametrize("format", ["heap", "segment", "posthog", "mixpanel", "amplitude"])
def test_the_dead_letter_is_no_fault_of_ours(shape: str, name: str, format: str) -> None:
    for found in lines(shape, name, format):
        assert type(found) is not Invalid or OUR_FAULT not in found.reason


OTLP = {"resourceLogs": [{"scopeLogs": [{"logRecords": [{"timeUnixNano": "1795435200000000000"}]}]}]}
MEASUREMENT = {"client_id": "c", "events": [{"name": "purchase", "params": {"value": 5}}]}
PERSON = {"id": "0190", "team_id": 1, "properties": "{}", "is_identified": 1, "created_at": "2026-11-23"}
TRACKER = {
    "schema": "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4",
    "data": [{"e": "ue"}],
}


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    ("record", "named"),
    [
        (OTLP, "OpenTelemetry"),
        (MEASUREMENT, "Measurement Protocol"),
        (PERSON, "a person of PostHog"),
        (TRACKER, "Snowplow"),
    ],
)
def test_what_no_format_reads_is_refused_under_every_one(record: Any, named: str, format: str) -> None:
    found = decode(orjson.dumps(record), format=format, origin=HERE)
    assert are_dead(found)
    if format == "auto":
        assert named in found[0].reason  # type: ignore[union-attr]  # it is dead
        assert "no reader for it yet" in found[0].reason  # type: ignore[union-attr]  # it is Invalid
