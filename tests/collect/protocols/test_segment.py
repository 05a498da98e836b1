"""Segment's family: what its SDKs post, what is kept of it, and what they are answered."""

from __future__ import annotations

import base64

import orjson
import pytest

from pipeline.collect.batch import Why
from pipeline.collect.protocols.protocol import Limits, Malformed, Settings
from pipeline.collect.protocols.table import Table
from pipeline.decode.decode import decode
from pipeline.model.records import Invalid, Origin
from tests.collect.protocols.asking import (
    NOW,
    TABLE,
    answer_of,
    asked,
    captured,
    cut,
    headers_of,
    json_of,
    members_of,
)

CALL = {"type": "track", "event": "A", "userId": "u1", "messageId": "m1", "timestamp": "2026-11-28T11:44:51Z"}
OURS = ("/v1/", "/api/s/")


def basic(user: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{user}:".encode()).decode()}


def test_every_captured_request_is_cut_into_calls_that_the_decoder_reads() -> None:
    seen = 0
    for request in captured():
        if request.method != "POST" or not request.path.startswith(OURS):
            continue
        found = cut(request)
        assert found.credential in ("WK", "WK2", "k:secret")
        for member in found.batch("web", request).members:
            seen += 1
            assert member.user == "u1"
            assert member.at_ms is not None
            assert member.same is not None
            assert member.value is not None
            assert found.credential.encode() not in member.value
            records = decode(member.value, format="segment", origin=Origin("s", 0))
            assert not any(type(one) is Invalid for one in records), records
    assert seen == 14


@pytest.mark.parametrize(
    ("target", "body", "headers"),
    [
        ("/v1/batch", {"batch": [CALL]}, basic("WK")),
        ("/v1/batch", {"batch": [CALL], "writeKey": "WK"}, {}),
        ("/v1/batch", {"batch": [CALL], "writeKey": " WK "}, {"authorization": "Bearer oauth"}),
        ("/v1/batch?writeKey=WK", {"batch": [CALL]}, {}),
        ("/v1/track", {**CALL, "writeKey": "WK"}, {}),
        ("/v1/track", {**CALL, "writeKey": "k:***"}, {"x-write-key": "WK"}),
        ("/v1/track", {**CALL, "writeKey": "WK"}, {"authorization": "Basic !!"}),
        ("/v1/track", {**CALL, "writeKey": "WK"}, {"authorization": "Basic"}),
        ("/v1/track", CALL, {"authorization": "Bearer WK"}),
    ],
)
def test_a_key_is_found_wherever_an_sdk_puts_it(target: str, body: object, headers: dict[str, str]) -> None:
    assert cut(asked("POST", target, body, headers)).credential == "WK"


def test_a_key_may_hold_a_colon() -> None:
    assert cut(asked("POST", "/v1/t", CALL, basic("k:secret"))).credential == "k:secret"
    no_password = {"authorization": "Basic " + base64.b64encode(b"WK:pw").decode()}
    assert cut(asked("POST", "/v1/t", CALL, no_password)).credential == "WK"


@pytest.mark.parametrize("path", ["/v1/i", "/v1/identify/", "/x/y/v1/identify", "/api/s/s2s/identify"])
def test_the_path_names_the_call_where_it_does_not_itself(path: str) -> None:
    (member,) = members_of(asked("POST", path, {"userId": "u1", "traits": {"plan": "pro"}}))
    assert headers_of(member)["hk-type"] == "identify"
    (member,) = members_of(asked("POST", path, {"userId": "u1", "type": "track"}))
    assert "hk-type" not in headers_of(member)


def test_what_the_calls_of_a_batch_share_goes_with_each() -> None:
    body = {"batch": [CALL, CALL], "context": {"ip": "192.0.2.1"}, "writeKey": "WK"}
    for member in members_of(asked("POST", "/v1/batch", body)):
        assert headers_of(member) == {
            "hk-protocol": "segment",
            "hk-key": "web",
            "hk-context": '{"ip": "192.0.2.1"}',
        }
    (single,) = members_of(asked("POST", "/v1/track", {**CALL, "context": {"ip": "192.0.2.1"}}))
    assert "hk-context" not in headers_of(single)


def test_members_are_the_bytes_that_were_sent() -> None:
    sent = b'{"batch" : [ {"type":"track" , "n": 1.50e3, "\\u00e9":"\xc3\xa9"},{ } ] }'
    assert [member.value for member in members_of(asked("POST", "/v1/batch", sent))] == [
        b'{"type":"track" , "n": 1.50e3, "\\u00e9":"\xc3\xa9"}',
        b"{ }",
    ]


@pytest.mark.parametrize(
    ("path", "body"),
    [("/v1/batch", b'{"success":true}'), ("/v1/t", b'{"success":true}'), ("/api/s/track", b'{"ok":true}')],
)
def test_success_is_exactly_200_with_the_body_that_the_sdk_reads(path: str, body: bytes) -> None:
    answer = answer_of(asked("POST", path, {"batch": [CALL]}))
    assert (answer.status, answer.body) == (200, body)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/batch", b"", 400),
        ("/v1/batch", b"hello", 400),
        ("/v1/batch", b"5", 400),
        ("/v1/batch", b'{"batch":[', 400),
        ("/v1/batch", b'{"batch":[]}', 400),
        ("/v1/track", b'{"a":1}x', 400),
        ("/v1/batch", b'{"batch":[' + b"{}," * 6 + b"{}]}", 413),
        ("/v1/track", b'{"a":"' + b"x" * 2000 + b'"}', 413),
        ("/beacon/v1/batch", b"{}", 404),
    ],
)
def test_an_error_has_a_code_and_a_message(path: str, body: bytes, status: int) -> None:
    table = Table(Settings(limits=Limits(members=6, member_bytes=1000)))
    answer = answer_of(asked("POST", path, body), table)
    assert answer.status == status
    assert json_of(answer).keys() >= {"code", "message"}


def test_a_refusal_keeps_the_data_at_the_sdk() -> None:
    request = asked("POST", "/v1/t", CALL)
    answer = cut(request).protocol.refused(request, Why.BUSY, 7)
    assert (answer.status, answer.headers) == (429, (("Retry-After", "7"),))
    assert json_of(answer).keys() >= {"code", "message"}
    unknown = cut(request).protocol.unauthorised(request, 401, "the write key is unknown")
    assert unknown.status == 401
    assert json_of(unknown).keys() >= {"code", "message"}


@pytest.mark.parametrize("path", ["/v1/pixel/track", "/ingest/v1/pixel/track/"])
def test_the_image_of_a_mail_is_a_call(path: str) -> None:
    data = base64.b64encode(orjson.dumps({**CALL, "type": None, "writeKey": "WK"})).decode()
    request = asked("GET", f"{path}?data={data}", headers={"origin": None})
    assert cut(request).credential == "WK"
    (member,) = members_of(request)
    assert (member.user, headers_of(member)["hk-type"]) == ("u1", "track")
    answer = answer_of(request)
    assert (answer.status, answer.content_type, answer.body[:6]) == (200, "image/gif", b"GIF89a")
    assert answer_of(asked("GET", path, headers={"origin": None})).status == 400


def test_measurements_of_the_sdk_are_thrown_away() -> None:
    found = cut(asked("POST", "/v1/m", {"series": [{}]}))
    assert found.answer is not None
    assert (found.answer.status, found.pieces) == (200, ())


def test_the_browsers_sdk_gets_the_settings_that_it_starts_with() -> None:
    request = asked("GET", "/ingest/v1/projects/WK/settings", headers={"host": "127.0.0.1:8080"})
    own = json_of(answer_of(request))["integrations"]["Segment.io"]
    assert own == {"apiKey": "WK", "apiHost": "127.0.0.1:8080/ingest/v1", "protocol": "http"}
    request = asked("GET", "/v1/projects/WK/settings", headers={"host": "c.shop.example"})
    assert json_of(answer_of(request))["integrations"]["Segment.io"]["protocol"] == "https"
    plain = {"host": "c.shop.example", "x-forwarded-proto": "http"}
    request = asked("GET", "/v1/projects/WK/settings", headers=plain)
    assert json_of(answer_of(request))["integrations"]["Segment.io"]["protocol"] == "http"


@pytest.mark.parametrize(
    ("call", "sent", "counts", "by"),
    [
        ({"timestamp": NOW}, NOW, NOW, None),
        ({"timestamp": NOW}, NOW - 1000, NOW, None),  # the way here
        ({"timestamp": NOW + 3_600_000}, NOW + 3_600_000, NOW, "-3600000"),
        ({"timestamp": NOW - 3_600_000}, NOW - 3_600_000, NOW, "3600000"),
        ({"timestamp": NOW - 86_400_000}, NOW, NOW - 86_400_000, None),  # an import
        ({"originalTimestamp": NOW - 9000}, NOW - 8000, NOW - 1000, "8000"),
        ({"timestamp": NOW + 86_400_000}, NOW, NOW, "-86400000"),  # the future
        ({"timestamp": NOW + 59_000}, NOW, NOW + 59_000, None),
        ({"timestamp": NOW - 9000, "receivedAt": NOW}, NOW - 86_400_000, NOW - 9000, None),
        ({}, NOW - 86_400_000, None, None),
        ({"timestamp": "soon"}, NOW - 86_400_000, None, None),
    ],
)
def test_the_clients_clock_is_put_right_by_when_it_sent(
    call: dict[str, object], sent: int, counts: int | None, by: str | None
) -> None:
    (member,) = members_of(asked("POST", "/v1/batch", {"batch": [call], "sentAt": sent}))
    assert member.at_ms == counts
    assert headers_of(member).get("hk-shift") == by


def test_a_call_says_itself_when_it_was_sent_where_its_batch_does_not() -> None:
    call = {"timestamp": NOW - 3_600_000, "sentAt": NOW - 3_600_000}
    for body in ([call], {"batch": [call]}):
        (member,) = members_of(asked("POST", "/v1/batch", body))
        assert (member.at_ms, headers_of(member)["hk-shift"]) == (NOW, "3600000")
    (member,) = members_of(asked("POST", "/v1/batch", {"batch": [call], "sentAt": NOW}))
    assert member.at_ms == NOW - 3_600_000


def test_the_same_message_under_the_same_key_is_the_same() -> None:
    request = asked("POST", "/v1/batch", {"batch": [CALL, CALL, {**CALL, "messageId": "m2"}]})
    first, again, other = members_of(request)
    assert first.same == again.same != other.same
    assert cut(request).batch("server", request).members[0].same != first.same


@pytest.mark.parametrize("none", ["undefined", "None", "00000000-0000-0000-0000-000000000000"])
def test_messages_with_what_stands_for_no_id_are_no_repeats(none: str) -> None:
    bodies = {
        "/v1/batch": {"batch": [{**CALL, "messageId": none}]},
        "/batch": {"batch": [{"event": "E", "distinct_id": "u", "uuid": none}]},
        "/v1/events": {"type": "event", "name": "E", "user_id": "u", "id": none},
        "/import": [{"event": "E", "properties": {"distinct_id": "u", "$insert_id": none}}],
        "/2/httpapi": {"events": [{"event_type": "E", "user_id": "u", "insert_id": none}]},
    }
    for path, body in bodies.items():
        (member,) = members_of(asked("POST", path, body))
        assert member.same is None, path


@pytest.mark.parametrize(
    ("call", "user", "also"),
    [
        ({"userId": "u", "anonymousId": "a"}, "u", "a"),
        ({"userId": 17, "anonymousId": 5}, "17", "5"),
        ({"userId": "", "user_id": "u", "anonymous_id": "a"}, "u", "a"),
        ({"userId": None, "anonymousId": "a"}, "a", "a"),
        ({"userId": "u", "previousId": "p"}, "u", "p"),
        ({"userId": {"x": 1}}, None, None),
    ],
)
def test_whose_a_call_is_is_known_however_its_ids_are_written(
    call: dict[str, object], user: str | None, also: str | None
) -> None:
    for time in ({"timestamp": "2026-11-28T11:44:51.123Z"}, {"timestamp": NOW}):
        (member,) = members_of(asked("POST", "/v1/batch", {"batch": [{"messageId": "m", **call, **time}]}))
        assert (member.user, member.also) == (user, also)
        assert member.same is not None
    known = [{"message_id": 5, **call}, {"messageId": "5", **call}]
    first, again = members_of(asked("POST", "/v1/batch", {"batch": known}))
    assert first.same == again.same


@pytest.mark.parametrize(
    "path", ["/v1/batch", "/ingest/v1/batch//", "/a/b/v1/batch/", "/v1//batch", "//a//v1//batch"]
)
def test_slashes_and_what_a_proxy_puts_before_a_path_do_not_count(path: str) -> None:
    assert TABLE.find("POST", path) is TABLE.find("POST", "/v1/batch") is not None
    assert TABLE.find("GET", path) is None
    assert TABLE.methods(path)


@pytest.mark.parametrize("path", ["/", "", "/v1", "/v1/batchx", "/x" * 2000 + "/v1/batch", "v1/batch/x"])
def test_other_paths_are_nobodys(path: str) -> None:
    assert not TABLE.methods(path)


def test_a_broken_request_says_why() -> None:
    with pytest.raises(Malformed, match="neither a JSON object nor an array"):
        cut(asked("POST", "/v1/t", b"track"))
