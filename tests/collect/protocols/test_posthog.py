"""PostHog's SDKs, from its oldest forms to v1: what is kept, and what they are answered."""

from __future__ import annotations

import base64
import gzip
import json
import urllib.parse
from typing import Any

import pytest

from pipeline.collect.batch import Why
from pipeline.collect.protocols.packed import lz
from pipeline.collect.protocols.protocol import Limits, Malformed, Settings
from pipeline.collect.protocols.table import Table
from pipeline.decode.decode import COLLECTED, decode
from pipeline.model.records import Event, IdentityLink, Invalid, Origin
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

EVENT = {"event": "A", "distinct_id": "u1", "uuid": "i1", "properties": {"n": 1}}
LATE = NOW - 3_600_000
"""An hour behind: what a slow clock says is now."""


def packed(event: object) -> str:
    return base64.b64encode(json.dumps(event).encode()).decode()


def form(data: str, **beside: str) -> str:
    return urllib.parse.urlencode({"data": data, **beside})


SINGLE = {**EVENT, "token": "phc", "timestamp": LATE}


def halves(event: object) -> tuple[bytes, bytes]:
    text = json.dumps(event).encode()
    return text[:20], text[20:]


def lz_packed(text: str) -> str:
    """Return what lz-string's ``compressToBase64`` makes of a text; the plain algorithm of its authors."""
    known: dict[str, int] = {}
    fresh: set[str] = set()
    bits: list[str] = []
    width, until_wider, size = 2, 2.0, 3
    word = ""

    def put(value: int, count: int) -> None:
        bits.append(f"{value:0{count}b}"[::-1])

    def flush(word: str) -> None:
        nonlocal until_wider, width
        if word in fresh:
            wide = ord(word) >= 256
            put(int(wide), width)
            put(ord(word), 16 if wide else 8)
            until_wider -= 1
            if until_wider == 0:
                until_wider = 2**width
                width += 1
            fresh.remove(word)
        else:
            put(known[word], width)
        until_wider -= 1
        if until_wider == 0:
            until_wider = 2**width
            width += 1

    for letter in text:
        if letter not in known:
            known[letter] = size
            size += 1
            fresh.add(letter)
        if word + letter in known:
            word += letter
        else:
            flush(word)
            known[word + letter] = size
            size += 1
            word = letter
    if word:
        flush(word)
    put(2, width)
    stream = "".join(bits)
    stream += "0" * (6 - len(stream) % 6)
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    found = "".join(letters[int(stream[at : at + 6], 2)] for at in range(0, len(stream), 6))
    return found + "=" * (-len(found) % 4)


def test_every_captured_batch_is_cut_into_events_that_the_decoder_reads() -> None:
    seen = 0
    for request in captured():
        if request.path != "/batch/":
            continue
        found = cut(request)
        assert found.credential == "phc_key"
        for member in found.batch("web", request).members:
            seen += 1
            assert member.user is not None
            assert member.same is not None
            assert headers_of(member)["hk-shift"] == "7107"
            records = decode(member.value, format="posthog", origin=Origin("s", 0))
            assert not any(type(one) is Invalid for one in records), records
    assert seen == 4


@pytest.mark.parametrize(
    ("method", "target", "body"),
    [
        ("POST", f"/batch/?_={LATE}", {"api_key": "phc", "batch": [{**EVENT, "timestamp": LATE}]}),
        ("POST", "/e/", {"api_key": "phc", "batch": [{**EVENT, "timestamp": LATE}], "sent_at": LATE}),
        ("POST", f"/e?_={LATE}&ver=1&ip=1", [SINGLE]),
        ("POST", f"/capture/?_={LATE}", SINGLE),
        ("POST", "/i/v0/e/", {**SINGLE, "sent_at": LATE}),
        ("POST", f"/ingest/i/v0/e?sent_at={LATE}", {**EVENT, "$token": "phc", "timestamp": LATE}),
        ("POST", f"/track/?_={LATE}", form(packed(SINGLE))),
        ("POST", f"/e/?_={LATE}&compression=base64", form(packed([SINGLE]))),
        ("POST", f"/e/?_={LATE}", form(packed(SINGLE).rstrip("="), compression="base64")),
        ("POST", f"/e/?_={LATE}", "data=" + packed(SINGLE)),  # not escaped
        ("POST", f"/e/?_={LATE}", "ip=1&data=" + urllib.parse.quote(json.dumps(SINGLE))),
        ("POST", f"/e/?_={LATE}&compression=gzip-js", gzip.compress(json.dumps(SINGLE).encode())),
        ("POST", f"/e/?_={LATE}", base64.b64encode(gzip.compress(json.dumps(SINGLE).encode()))),
        ("POST", f"/e/?_={LATE}", base64.b64encode(b"".join(map(gzip.compress, halves(SINGLE))))),
        ("POST", f"/e/?_={LATE}", packed(SINGLE)),
        ("POST", f"/e/?_={LATE}&compression=lz64", form(lz_packed(json.dumps(SINGLE)))),
        ("POST", f"/e/?_={LATE}&compression=lz64", lz_packed(json.dumps(SINGLE))),
        ("GET", f"/e/?_={LATE}&" + form(packed(SINGLE)), b""),
        ("GET", f"/e/?_={LATE}&compression=lz64&" + form(lz_packed(json.dumps([SINGLE]))), b""),
        ("GET", f"/capture?_={LATE}&data=" + urllib.parse.quote(json.dumps(SINGLE)), b""),
    ],
)
def test_one_event_in_every_form_is_one_event_with_the_right_time(
    method: str, target: str, body: object
) -> None:
    request = asked(method, target, body)
    found = cut(request)
    assert found.credential == "phc"
    (member,) = found.batch("web", request).members
    assert (member.user, member.at_ms) == ("u1", NOW)
    assert headers_of(member) == {"hk-protocol": "posthog", "hk-key": "web", "hk-shift": "3600000"}
    assert member.value is not None
    assert b"phc" not in member.value
    (event,) = decode(member.value, format="posthog", origin=Origin("s", 0))
    assert not isinstance(event, Invalid)
    assert (event.time or 0) + 3_600_000 == NOW
    answer = answer_of(request)
    assert (answer.status, answer.body) == (200, b'{"status":1}')


@pytest.mark.parametrize("text", ["", "a", "hello hello hello", "é€\U0001f600" * 3, json.dumps([EVENT] * 50)])
def test_lz_string_is_unpacked(text: str) -> None:
    js = text.encode("utf-16-le")
    units = "".join(chr(int.from_bytes(js[at : at + 2], "little")) for at in range(0, len(js), 2))
    assert lz.decompress(lz_packed(units), 10**6) == text


def test_lz_string_as_its_own_library_writes_it() -> None:
    # LZString.compressToBase64("hello world hello world") of lz-string 1.5
    assert lz.decompress("BYUwNmD2AEDukCcwBNqgjeTlA===", 100) == "hello world hello world"


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ("", "ends early"),
        ("A", "ends early"),
        ("BYUw", "ends early"),
        ("!!", "not base64"),
        ("////", "not LZ-String"),
        ("N4Ig" * 3, "not LZ-String"),
    ],
)
def test_a_broken_lz_string_is_refused(broken: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        lz.decompress(broken, 1000)


def test_a_bomb_of_lz_string_is_stopped() -> None:
    with pytest.raises(ValueError, match="more than"):
        lz.decompress(lz_packed("a" * 100_000), 50_000)
    bomb = form(lz_packed("[" + "1," * 50_000 + "1]"))
    small = Table(Settings(limits=Limits(body_bytes=50_000)))
    assert answer_of(asked("POST", "/e/?compression=lz64", bomb), small).status == 400
    squeezed = base64.b64encode(gzip.compress(b"[" + b" " * 60_000 + b"]"))
    assert answer_of(asked("POST", "/e/", squeezed), small).status == 413
    # Everybody waits while these are unpacked.
    for target, long in (("/e/?compression=lz64", b"a" * 262_145), ("/e/", b"data=" + b"a" * 2_097_148)):
        assert answer_of(asked("POST", target, long)).status == 413


def test_escapes_of_no_utf_8_keep_their_bytes() -> None:
    escaped = "data=%7B%22event%22%3A%22A%22%2C%22distinct_id%22%3A%22u%F6%22%7D"
    (member,) = members_of(asked("POST", "/e/", escaped))
    assert member.value == b'{"event":"A","distinct_id":"u\xf6"}'


def test_a_form_of_several_parts_is_refused_with_what_to_do() -> None:
    body = '--x\r\nContent-Disposition: form-data; name="data"\r\n\r\n{"event":"A"}\r\n--x--\r\n'
    answer = answer_of(asked("POST", "/e/", body))
    assert answer.status == 415
    assert "multipart/form-data is not read" in json_of(answer)["detail"]


def test_json_is_no_form_whatever_it_says() -> None:
    event = {**SINGLE, "properties": {"$current_url": "https://shop.example/?a=1&data=2"}}
    assert cut(asked("POST", "/e/", event)).credential == "phc"


@pytest.mark.parametrize(
    ("event", "sent", "counts"),
    [
        ({"timestamp": LATE, "properties": {"$ignore_sent_at": True}}, LATE, LATE),
        ({"timestamp": LATE, "offset": 9000}, LATE, NOW - 9000),
        ({"offset": -86_400_000}, NOW, NOW),
        ({"timestamp": LATE, "offset": 1e300}, NOW, LATE),
        ({"properties": {"$time": (NOW - 9000) / 1000}}, NOW, NOW - 9000),
        ({"timestamp": LATE}, LATE // 1000, LATE),  # seconds are ignored
        ({}, LATE, None),
    ],
)
def test_the_clients_clock_is_put_right(event: dict[str, object], sent: int, counts: int | None) -> None:
    body = {"api_key": "phc", "batch": [{"event": "A", "distinct_id": "u1", **event}]}
    (member,) = members_of(asked("POST", f"/batch/?_={sent}", body))
    assert member.at_ms == counts


def test_an_import_keeps_its_times() -> None:
    body = {
        "api_key": "phc",
        "sent_at": LATE,
        "historical_migration": True,
        "batch": [{**EVENT, "timestamp": LATE}],
    }
    (member,) = members_of(asked("POST", "/batch/", body))
    assert (member.at_ms, "hk-shift" in headers_of(member)) == (LATE, False)


@pytest.mark.parametrize(
    "body",
    [
        [{**EVENT, "token": "a"}, {**EVENT, "token": "b"}],
        [{**EVENT, "token": "a"}, {**EVENT, "properties": {"token": "b"}}],
        {"api_key": "a", "token": "b", "batch": [EVENT]},
    ],
)
def test_several_different_tokens_are_refused(body: object) -> None:
    assert answer_of(asked("POST", "/e/", body)).status == 401


def test_a_token_is_found_in_an_event_that_is_no_json() -> None:
    for body in (
        b'{"event":"A","token":"phc","n":NaN}',
        b'[{"event":"A","properties":{"token":"phc","n":1e999}}]',
    ):
        found = cut(asked("POST", "/e/", body))
        assert found.credential == "phc"
        assert b"phc" not in (found.pieces[0].value or b"")


def test_engage_without_an_event_is_an_identify() -> None:
    request = asked("POST", "/engage/", {"token": "phc", "distinct_id": "u1", "$set": {"plan": "pro"}})
    (member,) = members_of(request)
    assert headers_of(member)["hk-type"] == "$identify"
    for target, body in (("/engage", SINGLE), ("/track", {"token": "phc", "distinct_id": "u1"})):
        assert "hk-type" not in headers_of(members_of(asked("POST", target, body))[0])


def test_a_beacon_is_answered_without_a_body() -> None:
    answer = answer_of(asked("POST", "/e/?beacon=1", SINGLE))
    assert (answer.status, answer.body) == (204, b"")


@pytest.mark.parametrize(
    "body",
    [b"", b"hello!", b"data=", b"data=IA%3D%3D", b"data=%7B", b'{"batch":[]}', b"5", b"\x00\xff"],
)
def test_what_is_no_events_is_refused_with_a_reason(body: bytes) -> None:
    answer = answer_of(asked("POST", "/e/", body))
    assert answer.status == 400
    assert json_of(answer)["detail"]


def test_a_refusal_is_never_a_429() -> None:
    request = asked("POST", "/e/", SINGLE)
    answer = cut(request).protocol.refused(request, Why.DISK, 60)
    assert (answer.status, answer.headers) == (503, (("Retry-After", "30"),))


@pytest.mark.parametrize(
    ("method", "target", "status", "has"),
    [
        ("GET", "/array/phc/config", 200, {"supportedCompression", "hasFeatureFlags", "analytics"}),
        ("GET", "/ingest/array/phc/config?ip=0", 200, {"siteApps"}),
        ("GET", "/static/array.js", 404, set()),
        ("POST", "/flags/?v=2", 200, {"flags", "errorsWhileComputingFlags", "requestId"}),
        ("POST", "/decide/?v=3", 200, {"featureFlags"}),
        ("POST", "/s/?compression=gzip-js", 200, {"status"}),
        ("POST", "/i/v1/logs", 200, set()),
        ("GET", "/api/surveys/?token=phc", 200, {"surveys"}),
    ],
)
def test_the_browsers_sdk_starts_without_an_error(
    method: str, target: str, status: int, has: set[str]
) -> None:
    answer = answer_of(asked(method, target, {"token": "phc"} if method == "POST" else b""))
    assert answer.status == status
    assert json_of(answer).keys() >= has


def test_the_snippets_script_says_what_the_config_says() -> None:
    answer = answer_of(asked("GET", "/array/phc_K-1/config.js"))
    assert (answer.status, answer.content_type) == (200, "application/javascript")
    assert b'c["phc_K-1"]={config:{"supportedCompression"' in answer.body
    for key in ('"];alert(1);[', "<x>", "k" * 65):
        assert answer_of(asked("GET", f"/array/{key}/config.js")).status == 404


# --- v1

HEADERS = {
    "authorization": "Bearer phc",
    "posthog-sdk-info": "posthog-python/7",
    "posthog-attempt": "1",
    "posthog-request-id": "r1",
    "posthog-request-timestamp": "2026-11-28T10:44:51Z",
}


def v1(*events: Any, **headers: str) -> Any:
    body = b'{"created_at":"2026-11-28T10:44:51Z","batch":[%s]}' % b",".join(
        event if type(event) is bytes else json.dumps(event).encode() for event in events
    )
    return asked("POST", "/i/v1/analytics/events", body, {**HEADERS, **headers})


def test_v1_answers_for_each_event() -> None:
    table = Table(Settings(limits=Limits(member_bytes=300)))
    request = v1(
        {**EVENT, "uuid": "1", "timestamp": LATE},
        {"event": "A", "uuid": "2"},
        {**EVENT, "uuid": "3", "properties": {"x": "x" * 300}},
        b'{"event":"A","distinct_id":"u1","uuid":"4","n":NaN}',
        {**EVENT, "uuid": "5", "timestamp": LATE, "options": {"disable_skew_correction": True}},
        {**EVENT, "uuid": "6", "timestamp": LATE, "options": {}},
        {**EVENT, "uuid": "7", "event": ""},
    )
    results = json_of(answer_of(request, table))["results"]
    assert {uuid: result["result"] for uuid, result in results.items()} == {
        "1": "ok",
        "2": "drop",
        "3": "drop",
        "4": "drop",
        "5": "ok",
        "6": "ok",
        "7": "drop",
    }
    assert "distinct_id" in results["2"]["details"]
    # The job accounts for those that it cannot read, and for what is too large.
    members = members_of(request, table)
    assert [member.at_ms for member in members] == [NOW, None, None, None, LATE, NOW, None]
    (dead,) = decode(
        members[2].value, format=COLLECTED, origin=Origin("s", 0), headers=list(members[2].headers)
    )
    assert isinstance(dead, Invalid)
    assert f"{len(json.dumps({**EVENT, 'uuid': '3', 'properties': {'x': 'x' * 300}})):,} bytes" in dead.reason
    assert cut(request).credential == "phc"


def test_v1_says_the_same_as_other_calls_though_its_sdk_moves_properties_out() -> None:
    alias = {"event": "$create_alias", "distinct_id": "a1", "properties": {"alias": "u1"}}
    event = {
        **EVENT,
        "session_id": "s1",
        "options": {"process_person_profile": False},
        "properties": {"n": 1},
    }
    lines = members_of(v1({**alias, "uuid": "1"}, {**event, "uuid": "2"}))
    read = [
        decode(line.value, format=COLLECTED, origin=Origin("s", 0), headers=list(line.headers))
        for line in lines
    ]
    (link,), (seen,) = read
    assert isinstance(link, IdentityLink)
    assert (link.anonymous_id, link.user_id) == ("a1", "u1")
    assert isinstance(seen, Event)
    own = {"$lib": "posthog-python", "$lib_version": "7", "$session_id": "s1"}
    assert seen.properties == {**own, "$process_person_profile": False, "n": 1}
    assert seen.source == "posthog-python"
    hidden = v1({**EVENT, "uuid": "1"}, **{"posthog-sdk-info": "x/phc"})
    assert all("hk-lib" not in headers_of(member) for member in members_of(hidden))


def test_v1_leaves_the_times_of_an_import() -> None:
    body = {"historical_migration": True, "batch": [{**EVENT, "uuid": "1", "timestamp": LATE}]}
    (member,) = members_of(asked("POST", "/i/v1/analytics/events", body, HEADERS))
    assert member.at_ms == LATE


@pytest.mark.parametrize(
    ("name", "text"), [*((name, "") for name in HEADERS), ("posthog-request-timestamp", "soon")]
)
def test_v1_wants_its_headers(name: str, text: str) -> None:
    answer = answer_of(v1(EVENT, **{name: text}))
    assert answer.status == (401 if name == "authorization" else 400)
    assert json_of(answer).keys() >= {"error", "error_description", "error_uri"}


def test_v1_refuses_what_holds_no_batch() -> None:
    for body in (b"{}", b"[]", b"", b'{"batch":{}}', b'{"batch":[]}'):
        with pytest.raises(Malformed):
            cut(asked("POST", "/i/v1/analytics/events", body, HEADERS))
