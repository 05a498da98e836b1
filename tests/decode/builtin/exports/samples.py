"""Records of every shape in the forms that their vendors document, written for these tests."""

from __future__ import annotations

from typing import Any

import orjson

NOON = 1_795_435_200_000  # 2026-11-23T12:00:00Z

AMPLITUDE_ROW: dict[str, Any] = {
    "$insert_id": "5f0adeff-6668", "uuid": "bf0b9b2a-304d-11e6", "amplitude_id": 2718281828, "app": 187520,
    "client_event_time": "2026-11-23 12:00:01.250000", "event_time": "2026-11-23 12:00:00.000000",
    "server_received_time": "2026-11-23 12:00:03.000000", "event_type": "Purchase", "user_id": "user01",
    "device_id": "7d0d9d5c-a6b5", "event_properties": {"amount": 250},
    "user_properties": {"plan": "pro", "seats": 3}, "groups": {"company": ["Acme"]}, "country": "Norway",
    "library": "amplitude-ts/2.1.0", "location_lat": None, "data": {}, "session_id": 1795435100000,
}  # fmt: skip
AMPLITUDE_HTTP: dict[str, Any] = {
    "event_type": "Purchase", "user_id": "user01", "time": NOON, "insert_id": "32f76910",
    "event_properties": {"amount": 250}, "library": "amplitude-python/1.3.0",
}  # fmt: skip
AMPLITUDE_IDENTIFY: dict[str, Any] = {
    "event_type": "$identify", "user_id": "user01", "time": NOON, "insert_id": "f924583e",
    "user_properties": {"$set": {"plan": "pro"}, "$setOnce": {"first": "x"}, "$unset": {"trial": "-"}},
}  # fmt: skip

MIXPANEL_EXPORT: dict[str, Any] = {
    "event": "Purchase",
    "properties": {
        "time": NOON // 1000, "distinct_id": "u1", "$insert_id": "c9978", "$user_id": "u1",
        "$device_id": "d-7",
        "mp_lib": "web", "mp_processing_time_ms": NOON + 900, "amount": 250,
    },
}  # fmt: skip
MIXPANEL_TRACK: dict[str, Any] = {
    "event": "Purchase", "properties": {"token": "TOK", "distinct_id": "u1", "time": NOON / 1000,
    "amount": 250},
}  # fmt: skip
MIXPANEL_PEOPLE: dict[str, Any] = {
    "$token": "TOK", "$distinct_id": "u1", "$time": NOON, "$set": {"plan": "pro"},
    "$set_once": {"first": "x"},
    "$unset": ["trial"],
}  # fmt: skip
MIXPANEL_PROFILE: dict[str, Any] = {
    "$distinct_id": "u1",
    "$properties": {"$email": "a@example.com", "plan": "pro"},
}

_BOUGHT = {
    "schema": "iglu:com.acme/PurchaseMade/jsonschema/1-0-2",
    "data": {"amount": 250, "currency": "EUR"},
}
_PAGE = {"schema": "iglu:com.snowplowanalytics.snowplow/web_page/jsonschema/1-0-0", "data": {"id": "p-1"}}
_YAUAA = {"schema": "iglu:nl.basjes/yauaa_context/jsonschema/1-0-4", "data": {"deviceClass": "Phone"}}
SNOWPLOW_TSV: dict[str, str] = {
    "app_id": "shop", "platform": "web", "etl_tstamp": "2026-11-23 12:00:02.000",
    "collector_tstamp": "2026-11-23 12:00:01.000", "dvce_created_tstamp": "2026-11-23 11:59:59.000",
    "event": "unstruct", "event_id": "bc1d3298", "name_tracker": "ns", "v_tracker": "js-3.24",
    "user_id": "u1",
    "domain_userid": "d-7", "domain_sessionidx": "3", "network_userid": "n-1", "geo_country": "NO",
    "geo_latitude": "59.9", "page_url": "https://shop.example/x", "br_cookies": "1",
    "contexts": orjson.dumps({"schema": "iglu:x/contexts/jsonschema/1-0-0", "data": [_PAGE]}).decode(),
    "derived_contexts": orjson.dumps({"schema": "iglu:x/contexts/jsonschema/1-0-1",
    "data": [_YAUAA]}).decode(),
    "unstruct_event": orjson.dumps({"schema": "iglu:x/unstruct_event/jsonschema/1-0-0",
    "data": _BOUGHT}).decode(),
    "derived_tstamp": "2026-11-23 12:00:00.000", "event_vendor": "com.acme", "event_name": "purchase_made",
    "event_format": "jsonschema", "event_version": "1-0-2",
}  # fmt: skip
SNOWPLOW_JSON: dict[str, Any] = {
    "app_id": "shop", "platform": "web", "etl_tstamp": "2026-11-23T12:00:02.000Z",
    "collector_tstamp": "2026-11-23T12:00:01.000Z", "dvce_created_tstamp": "2026-11-23T11:59:59.000Z",
    "event": "unstruct", "event_id": "bc1d3298", "name_tracker": "ns", "v_tracker": "js-3.24",
    "user_id": "u1",
    "domain_userid": "d-7", "domain_sessionidx": 3, "network_userid": "n-1", "geo_country": "NO",
    "geo_latitude": 59.9, "page_url": "https://shop.example/x", "br_cookies": True,
    "contexts_com_snowplowanalytics_snowplow_web_page_1": [{"id": "p-1"}],
    "contexts_nl_basjes_yauaa_context_1": [{"deviceClass": "Phone"}],
    "unstruct_event_com_acme_purchase_made_1": {"amount": 250, "currency": "EUR"},
    "derived_tstamp": "2026-11-23T12:00:00.000Z", "event_vendor": "com.acme", "event_name": "purchase_made",
    "event_format": "jsonschema", "event_version": "1-0-2",
}  # fmt: skip

GA4_ROW: dict[str, Any] = {
    "event_date": "20261123", "event_timestamp": f"{NOON}000", "event_name": "purchase", "user_id": "u1",
    "user_pseudo_id": "1790000000.1795000000", "platform": "WEB", "stream_id": "42",
    "event_params": [
        {"key": "ga_session_id", "value": {"string_value": None, "int_value": "1795435100"}},
        {"key": "currency", "value": {"string_value": "EUR"}},
        {"key": "value", "value": {"double_value": 250.5}},
    ],
    "user_properties": [
        {"key": "plan", "value": {"string_value": "pro", "set_timestamp_micros": f"{NOON}000"}},
        {"key": "seats", "value": {"int_value": "3"}},
        {"key": "trial", "value": {"string_value": None, "set_timestamp_micros": f"{NOON}000"}},
    ],
    "device": {"category": "mobile"}, "geo": {"country": "Norway"},
    "ecommerce": {"total_item_quantity": "2", "purchase_revenue": 250.5, "transaction_id": "17"},
    "items": [
        {"item_id": "SKU1", "price": 125.25, "quantity": "2",
         "item_params": [{"key": "size", "value": {"string_value": "L"}}]},
    ],
}  # fmt: skip

CAPTURED: dict[str, Any] = {
    "uuid": "018f", "distinct_id": "u1", "ip": "192.0.2.1", "now": "2026-11-23T12:00:05Z",
    "sent_at": "2026-11-23T12:00:04Z", "token": "phc_x",
    "data": orjson.dumps(
        {"event": "Purchase", "distinct_id": "u1", "properties": {"amount": 250, "$set": {"plan": "pro"}},
         "timestamp": "2026-11-23T12:00:00Z"}
    ).decode(),
}  # fmt: skip
CLICKHOUSE: dict[str, Any] = {
    "uuid": "018f", "event": "Purchase", "properties": '{"amount":250,"$set":{"plan":"pro"}}',
    "timestamp": "2026-11-23 12:00:00.000000", "team_id": 1, "distinct_id": "u1", "elements_chain": "",
    "created_at": "2026-11-23 12:00:05.000000", "person_id": "0190",
    "person_properties": '{"plan":"pro","seats":3}',
    "person_mode": "full",
}  # fmt: skip
EXPORTED: dict[str, Any] = {
    "uuid": "018f", "event": "Purchase", "properties": {"amount": 250}, "timestamp": "2026-11-23T12:00:00Z",
    "team_id": 1, "distinct_id": "u1", "person_id": "0190", "person_properties": {"plan": "pro", "seats": 3},
    "inserted_at": "2026-11-23T12:10:00Z",
}  # fmt: skip

JITSU_MESSAGE: dict[str, Any] = {
    "ingestType": "browser", "messageCreated": "2026-11-23T12:00:01Z", "writeKey": "k:***", "messageId": "m1",
    "type": "track", "connectionId": "", "origin": {"baseUrl": "https://shop.example"}, "httpHeaders": {},
    "httpPayload": {
        "type": "track", "event": "Purchase", "userId": "u1", "anonymousId": "a1", "messageId": "m1",
        "timestamp": "2026-11-23T12:00:00Z", "properties": {"amount": 250},
        "context": {"page": {"path": "/x"}},
    },
}  # fmt: skip
JITSU_ROW: dict[str, Any] = {
    "type": "track", "event": "Purchase", "message_id": "m1", "user_id": "u1", "anonymous_id": "a1",
    "timestamp": "2026-11-23T12:00:00Z", "context": {"page": {"path": "/x"}, "traits": {}}, "amount": 250,
}  # fmt: skip
JITSU_LEGACY: dict[str, Any] = {
    "eventn_ctx_event_id": "m1", "event_type": "Purchase", "_timestamp": "2026-11-23T12:00:00Z",
    "src": "jitsu",
    "user": {"id": "u1", "email": "a@example.com"}, "api_key": "", "doc_path": "/x", "amount": 250,
}  # fmt: skip

SEGMENT: dict[str, Any] = {
    "type": "track", "event": "Purchase", "userId": "u1", "messageId": "m1",
    "timestamp": "2026-11-23T12:00:00Z",
    "properties": {"amount": 250}, "context": {},
}  # fmt: skip
SEGMENT_SNAKE = {"type": "track", "event": "Purchase", "user_id": "u1", "properties": {"amount": 250}}
SEGMENT_ARCHIVE: dict[str, Any] = {
    **SEGMENT, "receivedAt": "2026-11-23T12:00:01Z", "sentAt": "2026-11-23T12:00:00.5Z", "projectId": "p",
    "originalTimestamp": "2026-11-23T12:00:00Z", "version": 2, "channel": "server",
    "_metadata": {"bundled": []},
}  # fmt: skip
RUDDER: dict[str, Any] = {
    "type": "track", "event": "Purchase", "userId": "u1", "anonymousId": "", "messageId": "m1",
    "channel": "server",
    "originalTimestamp": "2026-11-23T12:00:00Z", "sentAt": "2026-11-23T12:00:01Z",
    "properties": {"amount": 250},
    "context": {"traits": {"plan": "pro"}}, "rudderId": "r", "integrations": {"All": True},
}  # fmt: skip
POSTHOG: dict[str, Any] = {
    "event": "Purchase", "distinct_id": "u1", "uuid": "018f", "timestamp": "2026-11-23T12:00:00Z",
    "properties": {"amount": 250, "$lib": "posthog-node", "token": "phc_x"},
}  # fmt: skip
HEAP: dict[str, Any] = {
    "app_id": "11", "event": "Purchase", "identity": "u1", "timestamp": "2026-11-23T12:00:00Z",
    "properties": {"amount": 250},
}  # fmt: skip
HEAP_USER: dict[str, Any] = {"app_id": "11", "identity": "u1", "properties": {"plan": "pro"}}
HEAP_LINK: dict[str, Any] = {"app_id": "11", "identity": "u1", "user_id": 5}
NATIVE: dict[str, Any] = {
    "type": "event", "name": "Purchase", "user_id": "u1", "time": "2026-11-23T12:00:00Z",
    "properties": {"amount": 250},
}  # fmt: skip
NATIVE_USER: dict[str, Any] = {"type": "user", "user_id": "u1", "set": {"plan": "pro"}}
NATIVE_LINK: dict[str, Any] = {"type": "identify", "user_id": "u1", "anonymous_id": "a1"}
CLOUDEVENT: dict[str, Any] = {
    "specversion": "1.0", "id": "1", "type": "Purchase", "source": "/shop", "subject": "u1",
    "time": "2026-11-23T12:00:00Z", "data": {"amount": 250},
}  # fmt: skip


def tsv(columns: dict[str, str], names: tuple[str, ...], more: int = 0) -> bytes:
    return "\t".join([*(columns.get(name, "") for name in names), *[""] * more]).encode()
