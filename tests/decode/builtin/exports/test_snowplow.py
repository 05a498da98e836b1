from __future__ import annotations

from typing import Any

import orjson
import pytest

from pipeline.decode.builtin.exports import snowplow_tsv
from pipeline.decode.decode import decode
from pipeline.decode.shapes import SHAPES
from pipeline.model.records import Event, Invalid
from pipeline.sources.peek import peek
from tests.decode import reading
from tests.decode.builtin.exports.samples import NOON, SNOWPLOW_JSON, SNOWPLOW_TSV, tsv
from tests.decode.reading import HERE

NAMES = snowplow_tsv.NAMES


def lines(raw: bytes) -> list[Any]:
    return decode(raw, format="snowplow", origin=HERE)


def read(record: Any) -> Any:
    return reading.one(record, format="snowplow")


def test_a_line_of_the_topic_and_the_sdks_json_are_the_same_event() -> None:
    (from_text,) = lines(tsv(SNOWPLOW_TSV, NAMES))
    assert from_text == read(SNOWPLOW_JSON)
    assert type(from_text) is Event
    assert (from_text.id, from_text.name, from_text.kind) == ("bc1d3298", "purchase_made", "track")
    assert (from_text.user_id, from_text.anonymous_id) == ("u1", "d-7")
    assert (from_text.time, from_text.received_at) == (NOON, NOON + 1000)
    assert from_text.properties == {"amount": 250, "currency": "EUR"}
    assert from_text.context["contexts_com_snowplowanalytics_snowplow_web_page_1"] == [{"id": "p-1"}]
    assert from_text.context["contexts_nl_basjes_yauaa_context_1"] == [{"deviceClass": "Phone"}]
    assert (from_text.context["geo_latitude"], from_text.context["br_cookies"]) == (59.9, True)


def test_the_columns_are_those_of_the_documents_and_others_may_follow() -> None:
    assert len(NAMES) == 131
    assert [NAMES[at] for at in (0, 5, 12, 52, 58, 124, 130)] == [
        "app_id", "event", "user_id", "contexts", "unstruct_event", "derived_tstamp", "true_tstamp",
    ]  # fmt: skip
    assert lines(tsv(SNOWPLOW_TSV, NAMES, more=3)) == lines(tsv(SNOWPLOW_TSV, NAMES))
    assert lines(tsv(SNOWPLOW_TSV, NAMES) + b"\r\n") == lines(tsv(SNOWPLOW_TSV, NAMES))


@pytest.mark.parametrize(
    ("columns", "kind", "name", "properties"),
    [
        (
            {"event": "page_view", "event_name": "page_view", "page_title": "Home"},
            "page",
            "page_view",
            {"page_url": "https://shop.example/x", "page_title": "Home"},
        ),
        (
            {
                "event": "struct",
                "event_name": "event",
                "se_category": "cart",
                "se_action": "add",
                "se_value": "2.5",
            },
            "track",
            "event",
            {"se_category": "cart", "se_action": "add", "se_value": 2.5},
        ),
        (
            {"event": "transaction", "event_name": "transaction", "tr_orderid": "17", "tr_total": "250"},
            "track",
            "transaction",
            {"tr_orderid": "17", "tr_total": 250.0},
        ),
    ],
)
def test_the_columns_of_an_events_own_kind_are_its_properties(
    columns: dict[str, str], kind: str, name: str, properties: dict[str, Any]
) -> None:
    (event,) = lines(tsv({**SNOWPLOW_TSV, "unstruct_event": "", **columns}, NAMES))
    assert (event.kind, event.name, event.properties) == (kind, name, properties)


def test_a_self_describing_event_that_no_sdk_has_named_is_opened() -> None:
    raw = {key: value for key, value in SNOWPLOW_JSON.items() if not key.startswith("unstruct_event")}
    event = read({**raw, "unstruct_event": orjson.loads(SNOWPLOW_TSV["unstruct_event"])})
    assert event.properties == {"amount": 250, "currency": "EUR"}


@pytest.mark.parametrize(
    ("changed", "anonymous"),
    [
        ({}, "d-7"),
        ({"domain_userid": None}, "n-1"),
        (
            {
                "domain_userid": None,
                "contexts_com_snowplowanalytics_snowplow_client_session_1": [{"userId": "phone-1"}],
            },
            "phone-1",
        ),
    ],
)
def test_the_anonymous_id_is_the_browsers_or_the_phones(changed: dict[str, Any], anonymous: str) -> None:
    event = read({**SNOWPLOW_JSON, "user_id": None, **changed})
    assert (event.user_id, event.anonymous_id) == (None, anonymous)


@pytest.mark.parametrize(
    ("columns", "named"),
    [
        ({"derived_tstamp": "soon"}, "`derived_tstamp`"),
        ({"domain_sessionidx": "x"}, "`domain_sessionidx`"),
        ({"geo_latitude": "nan"}, "`geo_latitude`"),
        ({"txn_id": "9" * 30}, "`txn_id`"),
        ({"br_cookies": "yes"}, "`br_cookies`"),
        ({"contexts": '{"data":[{"schema":"x","data":{}}]}'}, "`contexts`"),
        ({"unstruct_event": '{"data":{"a":NaN}}'}, "NaN"),
        ({"user_id": "", "domain_userid": "", "network_userid": ""}, "`user_id`"),
    ],
)
def test_what_is_wrong_with_a_line_is_named_by_its_column(columns: dict[str, str], named: str) -> None:
    (found,) = lines(tsv({**SNOWPLOW_TSV, **columns}, NAMES))
    assert type(found) is Invalid
    assert named in found.reason


@pytest.mark.parametrize("raw", [b"a\tb", b"", b"[1]", b"{", b"\xff" + b"\t" * 130, b'"\t"'])
def test_what_is_no_line_of_the_topic_is_a_dead_letter(raw: bytes) -> None:
    assert [type(one) for one in lines(raw)] == [Invalid]


def test_files_are_merged_by_the_events_time() -> None:
    assert peek(tsv(SNOWPLOW_TSV, NAMES), SHAPES["snowplow"]) == (NOON, False)
    assert peek(orjson.dumps(SNOWPLOW_JSON), SHAPES["snowplow"]) == (NOON, False)
    assert peek(b"[", SHAPES["snowplow"]) == (None, False)
    assert peek(b"x\t", SHAPES["snowplow"]) == (None, False)
