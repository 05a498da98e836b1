"""The public samples: what is read equals a count that this test makes from the files itself."""

from __future__ import annotations

import base64
import gzip
import json
import tarfile
import urllib.parse
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.decode.decode import decode
from pipeline.model.records import Event, IdentityLink, Invalid, Origin, PropertyUpdate, Record
from tests.kit.streams.samples import shared_data


def read(text: bytes, **given: Any) -> list[Record]:
    return decode(text, origin=Origin("sample", 0), **given)


def kinds(records: list[Record]) -> Counter[str]:
    return Counter(type(record).__name__ for record in records)


def json_lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines() if line.startswith("{")]


def segment_calls() -> list[dict[str, Any]]:
    """Every Segment call of the documents, batches opened."""
    samples = [
        line["sample"] for line in json_lines(shared_data() / "events/segment-spec/docs_samples.jsonl")
    ]
    fixtures = sorted((shared_data() / "events/segment-spec/analytics-go-fixtures").glob("*.json"))
    bodies = [*samples, *(json.loads(path.read_text()) for path in fixtures)]
    return [call for body in bodies for call in body.get("batch", [body])]


def test_segments_documents_give_what_their_calls_say() -> None:
    samples = [
        line["sample"] for line in json_lines(shared_data() / "events/segment-spec/docs_samples.jsonl")
    ]
    fixtures = sorted((shared_data() / "events/segment-spec/analytics-go-fixtures").glob("*.json"))
    bodies = [json.dumps(sample).encode() for sample in samples] + [path.read_bytes() for path in fixtures]
    found = kinds([record for body in bodies for record in read(body)])

    wanted: Counter[str] = Counter()
    for call in segment_calls():
        user = call.get("userId") or call.get("user_id")
        anonymous = call.get("anonymousId")
        named = call.get("type") or call.get("action")
        if not user and not anonymous:
            wanted["Invalid"] += 1
        elif "event" in call or named in ("page", "screen", "group") or "groupId" in call or "name" in call:
            wanted["Event"] += 1
        elif "previousId" in call:
            wanted["IdentityLink"] += 1
        else:
            wanted["PropertyUpdate"] += bool(call.get("traits")) or not (user and anonymous)
            wanted["IdentityLink"] += bool(user and anonymous)
    assert found == wanted
    assert found["Event"] > 80


def test_page_views_are_events_of_kind_page_in_file_order() -> None:
    path = shared_data() / "events/apache-pageviews/pageviews.jsonl"
    raw = path.read_bytes().splitlines()
    records = [record for line in raw for record in read(line)]
    assert len(records) == 10_000
    for record, line in zip(records, raw, strict=True):
        call = json.loads(line)
        assert type(record) is Event
        assert (record.kind, record.name, record.user_id) == ("page", "page", None)
        assert (record.id, record.anonymous_id) == (call["messageId"], call["anonymousId"])
        assert record.properties == call["properties"]
    assert type(records[0]) is Event
    assert records[0].time == 1431857103000


def test_posthog_events_become_events_updates_and_links() -> None:
    calls = json_lines(shared_data() / "events/posthog-capture/events.jsonl")
    found = kinds([record for call in calls for record in read(json.dumps(call).encode())])
    names = Counter(call["event"] for call in calls)
    assert found["Event"] == len(calls) - names["$set"] - names["$identify"]
    assert found["PropertyUpdate"] == names["$set"]
    assert found["IdentityLink"] == names["$identify"]
    assert found["Invalid"] == 0


def test_autocaptured_clicks_keep_their_element_chains() -> None:
    calls = json_lines(shared_data() / "events/posthog-capture/events.jsonl")
    clicks = [call for call in calls if call["event"] == "$autocapture"]
    assert clicks
    for call in clicks:
        (event,) = read(json.dumps(call).encode())
        assert type(event) is Event
        assert event.elements is not None
        listed = call["properties"]["$elements"]
        assert event.kind == call["properties"]["$event_type"]
        assert [element["tag"] for element in event.elements] == [item["tag_name"] for item in listed]
        assert [element["classes"] for element in event.elements] == [
            item.get("classes", []) for item in listed
        ]


def test_the_bodies_posthogs_sdk_sent_hold_the_same_events() -> None:
    requests = json_lines(shared_data() / "events/posthog-capture/requests_dump.jsonl")
    ids: list[str | None] = []
    for request in requests:
        body = base64.b64decode(request["body"])
        if request["content_type"] == "application/x-www-form-urlencoded":
            form = urllib.parse.parse_qs(body.decode())
            body = base64.b64decode(form["data"][0])
        elif body[:2] == b"\x1f\x8b":
            body = gzip.decompress(body)
        for record in read(body):
            assert not isinstance(record, Invalid), record
            if not isinstance(record, IdentityLink):
                ids.append(record.id)
    known = json_lines(shared_data() / "events/posthog-capture/events.jsonl")
    assert Counter(ids) == Counter(call["uuid"] for call in known if call["event"] != "$identify")


def test_heaps_documents_give_one_record_per_call() -> None:
    samples = json_lines(shared_data() / "events/heap/docs_samples.jsonl")
    wanted = {
        "track": Event,
        "bulk_track": Event,
        "add_user_properties": PropertyUpdate,
        "bulk_add_user_properties": PropertyUpdate,
        "identify": IdentityLink,
    }
    for sample in samples:
        body = sample["body"]
        records = read(json.dumps(body).encode())
        members = body.get("events") or body.get("users") or [body]
        assert [type(record) for record in records] == [wanted[sample["call"]]] * len(members)


@pytest.mark.parametrize("name", ["v1.yaml", "v1_minimum.yaml", "v03.yaml", "v03_minimum.yaml"])
def test_cloudevents_conformance_samples_are_read_in_both_modes(name: str) -> None:
    text = (shared_data() / "events/cloudevents" / name).read_text()
    documents = [document for document in yaml.safe_load_all(text) if document]
    assert documents
    for document in documents:
        attributes = {**document["ContextAttributes"]}
        extensions = attributes.pop("Extensions", {})
        attributes = {key: _text(value) for key, value in {**attributes, **extensions}.items()}
        data = document["Data"].strip()
        media = attributes.get("datacontenttype", "application/json")
        is_json = "json" in media
        structured = {**attributes, "data": json.loads(data) if is_json else data}
        headers = [
            (f"ce_{key}", value.encode()) for key, value in attributes.items() if key != "datacontenttype"
        ]
        if "datacontenttype" in attributes:
            headers.append(("content-type", media.encode()))
        by_json = read(json.dumps(structured).encode())
        by_headers = read(data.encode(), headers=headers)
        assert by_json == by_headers
        (event,) = by_json
        assert type(event) is Event
        assert (event.name, event.id, event.source) == (
            attributes["type"],
            attributes["id"],
            attributes["source"],
        )


def _text(value: Any) -> str:
    return f"{value:%Y-%m-%dT%H:%M:%SZ}" if hasattr(value, "strftime") else str(value)


def test_every_json_parsing_case_is_read_or_named() -> None:
    good = b'{"type":"event","name":"A","user_id":"u"}'
    with tarfile.open(shared_data() / "nasty" / "JSONTestSuite.tar.gz") as suite:
        cases = {
            Path(member.name).name: file.read()
            for member in suite.getmembers()
            if member.name.endswith(".json") and (file := suite.extractfile(member))
        }
    assert len(cases) >= 318
    for name, text in cases.items():
        (event,) = read(good)
        assert type(event) is Event
        records = read(text)
        assert records, name
        for record in records:
            # None of them is a record of any shape; what differs is the reason.
            assert type(record) is Invalid, name
            assert record.reason, name
        said = " ".join(record.reason for record in records if isinstance(record, Invalid))
        is_refused = "not JSON" in said or "not UTF-8" in said or ("empty" in said and not text.strip())
        if name.startswith("y_"):
            assert not is_refused, (name, said)
        if name.startswith("n_"):
            assert is_refused or "nested" in said, (name, said)


def test_every_naughty_string_arrives_code_point_for_code_point() -> None:
    for text in json.loads((shared_data() / "nasty" / "blns.json").read_text()):
        user_id = text if text.strip() else "x"
        record = {"type": "event", "name": text or "x", "user_id": user_id, "properties": {text: text}}
        (event,) = read(json.dumps(record).encode())
        assert type(event) is Event
        assert (event.name, event.user_id, event.properties) == (text or "x", user_id, {text: text})
