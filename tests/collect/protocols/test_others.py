"""Heap, Mixpanel and Amplitude; and the paths that the last two share with PostHog."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from pipeline.collect.batch import Why
from pipeline.collect.protocols.protocol import Settings
from pipeline.collect.protocols.table import Table
from pipeline.collect.sinks.order import places
from pipeline.decode.decode import decode
from pipeline.model.records import Invalid, Origin
from tests.collect.protocols.asking import (
    NOW,
    answer_of,
    asked,
    captured,
    cut,
    headers_of,
    json_of,
    members_of,
)
from tests.kit.streams.samples import shared_data

PROTOCOLS = {
    "TOK": {"mixpanel"},
    "AKEY": {"amplitude"},
    "BOTH": {"posthog", "mixpanel", "amplitude"},
    "phc": {"posthog"},
}
TABLE = Table(Settings(), speaks=lambda key: PROTOCOLS.get(key or ""))


def read(member: Any, format: str) -> list[Any]:
    return decode(member.value, format=format, origin=Origin("s", 0))


# --- Heap


def test_every_call_of_heaps_documents_is_cut() -> None:
    calls = 0
    for line in (shared_data() / "events/heap/docs_samples.jsonl").read_text().splitlines():
        sample = json.loads(line)
        if not str(sample.get("endpoint", "")).startswith("/api/"):
            continue
        request = asked("POST", sample["endpoint"], sample["body"])
        found = cut(request)
        assert found.credential == sample["body"]["app_id"]
        for member in found.batch("web", request).members:
            calls += 1
            assert member.user is not None
            assert headers_of(member)["hk-type"] in ("track", "add_user_properties", "identify")
            assert json.loads(member.value or b"").get("app_id", "") == ""
            assert not any(type(one) is Invalid for one in read(member, "heap"))
    assert calls


def test_heaps_app_is_its_key_also_as_a_number() -> None:
    for app_id in ("11", 11):
        request = asked("POST", "/api/track", {"app_id": app_id, "event": "A", "identity": "u1", "n": 11})
        found = cut(request)
        assert found.credential == "11"
        assert json.loads(found.pieces[0].value or b"")["app_id"] == ""
        assert json.loads(found.pieces[0].value or b"")["n"] == 11
        assert answer_of(request).status == 200


def test_heaps_bulks_are_one_member_each() -> None:
    users = [{"identity": "u1", "properties": {}}, {"identity": "u2", "properties": {}}]
    found = members_of(asked("POST", "/api/add_user_properties", {"app_id": "1", "users": users}))
    assert [member.user for member in found] == ["u1", "u2"]
    events = [{"event": "A", "identity": "u1", "timestamp": NOW, "idempotency_key": "k"}]
    (member,) = members_of(asked("POST", "/api/track", {"app_id": "1", "events": events}))
    assert (member.at_ms, member.same is not None) == (NOW, True)


# --- Mixpanel

INSIDE = {"token": "TOK", "distinct_id": "u1", "time": NOW / 1000, "$insert_id": "i"}
CALL = {"event": "A", "properties": INSIDE}


def test_the_captured_requests_of_mixpanels_libraries_are_its_own() -> None:
    seen = 0
    for request in captured():
        if request.path != "/track":
            continue
        found = cut(request, TABLE)
        assert (found.protocol.name, found.credential) == ("mixpanel", "TOK")
        for member in found.batch("web", request).members:
            seen += 1
            assert member.user == "u1"
            assert headers_of(member)["hk-type"] == "track"
            assert b"TOK" not in (member.value or b"")
            assert not any(type(one) is Invalid for one in read(member, "mixpanel"))
        answer = answer_of(request, TABLE)
        is_verbose = b"verbose=1" in request.body
        assert answer.body == (b'{"status":1,"error":null}' if is_verbose else b"1")
        assert answer.status == 200
    assert seen == 4


@pytest.mark.parametrize(
    ("path", "call", "user"),
    [
        ("/track", CALL, "u1"),
        ("/engage", {"$token": "TOK", "$distinct_id": "u1", "$set": {"plan": "pro"}}, "u1"),
        ("/groups", {"$token": "TOK", "$group_key": "c", "$group_id": "1", "$set": {}}, None),
    ],
)
@pytest.mark.parametrize("is_list", [False, True])
@pytest.mark.parametrize("form", ["json", "data", "base64"])
def test_mixpanels_calls_come_in_every_form(
    path: str, call: dict[str, Any], user: str | None, is_list: bool, form: str
) -> None:
    text = json.dumps([call] if is_list else call)
    packed = base64.b64encode(text.encode()).decode()
    body = {"json": text, "data": f"data={text}", "base64": f"data={packed}"}[form]
    request = asked("POST", f"{path}?ip=0&verbose=1", body)
    found = cut(request, TABLE)
    assert (found.protocol.name, found.credential) == ("mixpanel", "TOK")
    (member,) = found.batch("web", request).members
    assert (member.user, headers_of(member)["hk-type"]) == (user, path[1:])


def test_an_emoji_that_mixpanels_page_writes_in_halves_is_one() -> None:
    # Its library encodes JavaScript's letters of 16 bits one by one, then as base64 (its default).
    text = json.dumps({"event": "A", "properties": {**INSIDE, "x": "ü👩"}}, ensure_ascii=False)
    halves = text.replace("👩", "\ud83d\udc69")
    packed = base64.b64encode(halves.encode("utf-8", "surrogatepass")).decode()
    for body in (packed, f"data={packed.replace('+', '%2B')}"):
        (piece,) = cut(asked("POST", "/track/", body), TABLE).pieces
        assert json.loads(piece.value or b"")["properties"]["x"] == "ü👩"
    half = json.dumps(CALL).replace('"A"', '"\ud83d"').encode("utf-8", "surrogatepass")
    (piece,) = cut(asked("POST", "/track/", base64.b64encode(half).decode()), TABLE).pieces
    assert b"\xed\xa0\xbd" in (piece.value or b"")


def test_an_update_of_mixpanel_that_has_no_time_goes_before_the_event_sent_beside_it() -> None:
    told = asked("POST", "/engage", {"$token": "TOK", "$distinct_id": "u1", "$set": {"plan": "pro"}})
    batches = [cut(one, TABLE).batch("web", one) for one in (asked("POST", "/track", CALL), told)]
    assert places(batches) == [(1, 0), (0, 0)]


def test_mixpanels_clock_is_put_right_by_when_its_page_sent() -> None:
    # Its library sends the time by the clock of the page, an hour slow; the event is of ten minutes before.
    call = {"event": "A", "properties": {**INSIDE, "time": (NOW - 4_200_000) / 1000}}
    found = cut(asked("POST", f"/track/?verbose=1&ip=1&_={NOW - 3_600_000}", call), TABLE)
    assert (found.pieces[0].at_ms, found.shift_ms) == (NOW - 600_000, 3_600_000)
    assert found.pieces[0].extra == (("hk-shift", b"3600000"),)


def test_mixpanels_import_takes_a_call_a_line() -> None:
    headers = {"authorization": "Basic " + base64.b64encode(b"TOK:").decode()}
    body = "\n".join([json.dumps({**CALL, "properties": {**INSIDE, "token": None}})] * 3)
    request = asked("POST", "/import?strict=1&project_id=1", body, headers)
    found = cut(request, TABLE)
    assert (found.protocol.name, found.credential, len(found.pieces)) == ("mixpanel", "TOK", 3)
    assert json_of(answer_of(request, TABLE)) == {"code": 200, "num_records_imported": 3, "status": "OK"}
    form = "verbose=1&data=" + json.dumps({"event": "A", "properties": {"distinct_id": "u1", "time": 1}})
    by_python = asked("POST", "/import", form, headers)
    assert json_of(answer_of(by_python, TABLE)) == {"status": 1, "error": None}
    (member, *_) = found.batch("web", request).members
    assert (member.at_ms, headers_of(member)["hk-type"]) == (NOW, "track")
    nameless = cut(
        asked("POST", "/import", body, {"authorization": "Basic " + base64.b64encode(b":").decode()})
    )
    assert nameless.credential is None


@pytest.mark.parametrize(
    ("path", "call"),
    [
        ("/track", '{"event": "A", "properties": {"token": "TOK", "note": "\\ud83d"}}'),
        ("/track", '[{"event": "A", "properties": {"token": "TOK", "n": NaN}}]'),
        ("/engage", '[{"$token": "TOK", "$distinct_id": "u1", "$set": {"cut": "\\ud83d"}}]'),
    ],
)
def test_a_call_of_mixpanel_that_is_no_good_json_is_kept_under_its_key_for_a_dead_letter(
    path: str, call: str
) -> None:
    # Pages cut texts in the middle of an emoji; its SDK gives up on 401.
    found = cut(asked("POST", path, call), TABLE)
    assert (found.protocol.name, found.credential, len(found.pieces)) == ("mixpanel", "TOK", 1)
    assert b"TOK" not in (found.pieces[0].value or b"")


# --- Amplitude


def test_the_captured_request_of_amplitudes_library_is_kept() -> None:
    (request,) = [one for one in captured() if one.path == "/2/httpapi"]
    found = cut(request)
    assert (found.protocol.name, found.credential) == ("amplitude", "AKEY")
    for member in found.batch("web", request).members:
        assert (member.user, member.at_ms) == ("user01", 1795866288210)
        assert not any(type(one) is Invalid for one in read(member, "amplitude"))
    assert json_of(answer_of(request)) == {
        "code": 200,
        "events_ingested": 2,
        "payload_size_bytes": len(request.raw),
        "server_upload_time": NOW,
    }


def test_an_insert_id_of_amplitude_is_one_of_a_device_else_of_a_user() -> None:
    whose = [{"user_id": "u1"}, {"user_id": "u2"}, {"device_id": "d1"}, {"device_id": "d1", "user_id": "u3"}]
    events = [{"event_type": "A", "insert_id": "1", **one} for one in whose]
    request = asked("POST", "/2/httpapi", {"api_key": "AKEY", "events": events})
    pieces = cut(request).pieces
    assert [piece.user for piece in pieces] == ["u1", "u2", "d1", "u3"]
    first, second, third, fourth = [piece.same for piece in pieces]
    assert len({first, second, third}) == 3
    assert third == fourth


def test_amplitudes_clock_is_put_right_by_when_it_uploaded() -> None:
    events = [{"event_type": "A", "user_id": "u1", "time": NOW - 3_600_000}]
    body = {"api_key": "AKEY", "events": events, "client_upload_time": "2026-11-28T10:44:51Z"}
    (member,) = members_of(asked("POST", "/2/httpapi", body))
    assert member.at_ms == NOW


@pytest.mark.parametrize(
    "body",
    [
        '{"api_key":"AKEY","identification":{"user_id":"u1","user_properties":{"$set":{"a":1}}}}',
        'api_key=AKEY&identification=[{"user_id":"u1","user_properties":{"$set":{"a":1}}}]',
        'api_key=AKEY&identification={"user_id":"u1","user_properties":{"$set":{"a":1}}}',
        '{"api_key":"AKEY","identification":[{"user_id":"u1","user_properties":{"$set":{"a":1}}}]}',
    ],
)
def test_an_identification_of_amplitude_is_one(body: str) -> None:
    request = asked("POST", "/identify", body)
    found = cut(request)
    assert found.credential == "AKEY"
    (member,) = found.batch("web", request).members
    assert (member.user, headers_of(member)["hk-type"]) == ("u1", "identify")


def test_amplitudes_events_come_in_a_form_too() -> None:
    (member,) = members_of(
        asked("POST", "/httpapi", 'api_key=AKEY&event=[{"event_type":"A","user_id":"u1"}]')
    )
    assert (member.user, "hk-type" in headers_of(member)) == ("u1", False)


def test_amplitude_says_what_its_libraries_wait_for() -> None:
    request = asked("POST", "/2/httpapi", {"api_key": "x", "events": [{"event_type": "A"}]})
    protocol = cut(request).protocol
    unknown = protocol.unauthorised(request, 401, "it is not known here")
    assert (unknown.status, json_of(unknown)["code"]) == (400, 400)
    assert json_of(unknown)["error"].startswith("Invalid API key:")
    busy = protocol.refused(request, Why.BUSY, 5)
    assert (busy.status, json_of(busy)["code"], busy.headers) == (429, 429, (("Retry-After", "5"),))
    assert json_of(answer_of(asked("POST", "/2/httpapi", {"api_key": "x"})))["code"] == 400


# --- shared paths

POSTHOG = {"event": "A", "distinct_id": "u1", "properties": {}}


@pytest.mark.parametrize(
    ("target", "body", "protocol"),
    [
        ("/track", {**CALL, "properties": {**INSIDE, "token": "phc"}}, "posthog"),
        ("/track", {**CALL, "properties": {**INSIDE, "token": "other"}}, "posthog"),
        ("/track", {**CALL, "properties": {**INSIDE, "token": "BOTH"}}, "mixpanel"),
        ("/track", {**POSTHOG, "api_key": "BOTH"}, "posthog"),
        ("/track", [{**POSTHOG, "token": "BOTH"}], "posthog"),
        ("/track", [{**CALL, "properties": {**INSIDE, "token": "BOTH"}}], "mixpanel"),
        ("/track", {"event": "A", "properties": {"token": "BOTH", "mp_lib": "web"}}, "mixpanel"),
        ("/track", {"event": "A", "properties": {"token": "BOTH"}}, "posthog"),
        ("/engage", {"$token": "BOTH", "$distinct_id": "u1", "$set": {}}, "mixpanel"),
        ("/engage", {"$token": "BOTH", "distinct_id": "u1", "$set": {}}, "posthog"),
        ("/batch", {"api_key": "AKEY", "events": [{"event_type": "A", "user_id": "u1"}]}, "amplitude"),
        ("/batch", {"api_key": "BOTH", "events": [{"event_type": "A", "user_id": "u1"}]}, "amplitude"),
        ("/batch", {"api_key": "BOTH", "batch": [POSTHOG]}, "posthog"),
        ("/batch", {**POSTHOG, "api_key": "BOTH"}, "posthog"),
        ("/batch", {"api_key": "phc", "events": [{"event_type": "A", "user_id": "u1"}]}, "posthog"),
        ("/batch", {"api_key": "unknown", "batch": [POSTHOG]}, "posthog"),
    ],
)
def test_a_shared_path_is_posthogs_unless_the_key_names_another(
    target: str, body: object, protocol: str
) -> None:
    assert cut(asked("POST", target, body), TABLE).protocol.name == protocol


def test_jitsus_batch_is_told_by_its_header() -> None:
    request = asked("POST", "/batch", {"batch": [{"type": "track"}]}, {"x-write-key": "k:secret"})
    found = cut(request, TABLE)
    assert (found.protocol.name, found.credential) == ("segment", "k:secret")


def test_an_identify_under_api_is_heaps_or_segments() -> None:
    for body, protocol in (
        ({"app_id": "1", "identity": "u1", "user_id": "7"}, "heap"),
        ({"writeKey": "WK", "userId": "u1", "traits": {}}, "segment"),
    ):
        found = cut(asked("POST", "/api/v1/identify", body), TABLE)
        assert found.protocol.name == protocol
        assert found.credential is not None
