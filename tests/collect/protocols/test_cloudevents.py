"""CloudEvents over HTTP: three modes, one decoding, one handshake."""

from __future__ import annotations

import json

import pytest

from pipeline.collect.batch import Why
from pipeline.decode.decode import decode
from pipeline.model.records import Event, Origin
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

EVENT = {
    "specversion": "1.0",
    "id": "1",
    "source": "/shop",
    "type": "com.acme.purchase",
    "subject": "u1",
    "time": "2026-11-28T11:44:51Z",
    "data": {"amount": 250},
}
BINARY = {
    "ce-specversion": "1.0",
    "ce-id": "1",
    "ce-source": "/shop",
    "ce-type": "com.acme.purchase",
    "ce-subject": "u1",
    "ce-time": "2026-11-28T11:44:51Z",
    "content-type": "application/json",
}


def test_the_three_modes_say_the_same() -> None:
    found = [
        *members_of(asked("POST", "/cloudevents", {"amount": 250}, BINARY)),
        *members_of(asked("POST", "/cloudevents/", EVENT)),
        *members_of(asked("POST", "/events", [EVENT, EVENT])),
    ]
    assert len(found) == 4
    assert {(member.user, member.at_ms, member.same) for member in found} == {("u1", NOW, found[0].same)}
    for member in found:
        (event,) = decode(member.value, format="cloudevents", origin=Origin("s", 0), headers=member.headers)
        assert type(event) is Event
        assert (event.name, event.user_id, event.time) == ("com.acme.purchase", "u1", NOW)
        assert event.properties == {"amount": 250}


def test_the_captured_event_of_the_npm_package_is_kept() -> None:
    (request,) = [one for one in captured() if one.path == "/events"]
    (member,) = members_of(request)
    assert (member.user, member.value) == ("u1 é", request.body)


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("u1", "u1"),
        ("Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"),
        ("raw é €", "raw é €"),
        ("%2541", "%41"),
        ("100%", "100%"),
        ("50% é%20x", "50% é x"),
        ('"quoted \\"x\\""', 'quoted "x"'),
        ("u%F6", "u%F6"),
    ],
)
def test_an_attribute_is_percent_decoded_once(sent: str, read: str) -> None:
    (member,) = members_of(asked("POST", "/cloudevents", b"", {**BINARY, "ce-subject": sent}))
    assert member.user == read
    assert headers_of(member)["ce_subject"] == read


def test_an_event_in_binary_mode_may_be_without_data() -> None:
    (member,) = members_of(asked("POST", "/cloudevents", b"", BINARY))
    assert member.value is None
    (member,) = members_of(
        asked("POST", "/cloudevents", b"\x00\xff", {**BINARY, "content-type": "image/png"})
    )
    assert (member.value, headers_of(member)["content-type"]) == (b"\x00\xff", "image/png")
    odd = {**BINARY, "ce-Bad_Name": "x", "ce-": "y", "x-ce-a": "z"}
    assert "ce_Bad_Name" not in headers_of(members_of(asked("POST", "/cloudevents", b"", odd))[0])


@pytest.mark.parametrize(
    ("data", "attributes", "user"),
    [
        ({"user_id": "d", "userId": "e"}, {}, "d"),
        ({"userId": 7}, {}, "7"),
        ({"anonymous_id": "a"}, {"subject": None}, "a"),
        ({}, {"userid": "x"}, "x"),
        ("text", {"subject": None, "anonymousid": "y"}, "y"),
        (None, {"subject": None}, "/shop"),
    ],
)
def test_whom_it_is_about_is_as_the_decoder_reads_it(
    data: object, attributes: dict[str, object], user: str
) -> None:
    event = {
        name: value for name, value in {**EVENT, "data": data, **attributes}.items() if value is not None
    }
    (member,) = members_of(asked("POST", "/events", event))
    assert member.user == user
    (read,) = decode(json.dumps(event).encode(), format="cloudevents", origin=Origin("s", 0))
    assert type(read) is Event
    assert (read.user_id or read.anonymous_id) == user


def test_the_same_id_of_another_source_is_another_event() -> None:
    first, other = members_of(asked("POST", "/events", [EVENT, {**EVENT, "source": "/bank"}]))
    assert first.same != other.same


@pytest.mark.parametrize(
    "content_type", ["application/cloudevents+json; charset=UTF-8", "Application/CloudEvents-batch+json"]
)
def test_attributes_that_are_copied_into_headers_do_not_count(content_type: str) -> None:
    copied = {**BINARY, "ce-id": "9", "content-type": content_type}
    found = members_of(asked("POST", "/events", [EVENT, {**EVENT, "id": "2"}], copied))
    expected = members_of(asked("POST", "/events", [EVENT, {**EVENT, "id": "2"}]))
    assert [(member.value, member.same, member.headers) for member in found] == [
        (member.value, member.same, member.headers) for member in expected
    ]


@pytest.mark.parametrize("body", [b"[]", b" [ \n] "])
def test_an_empty_batch_is_a_batch(body: bytes) -> None:
    answer = answer_of(
        asked("POST", "/cloudevents", body, {"content-type": "application/cloudevents-batch+json"})
    )
    assert (answer.status, json_of(answer)) == (200, {"accepted": 0, "repeats": 0})


@pytest.mark.parametrize("body", [b"[", b"[x", b"[{", b"[ {"])
def test_the_beginning_of_a_batch_is_none(body: bytes) -> None:
    answer = answer_of(
        asked("POST", "/cloudevents", body, {"content-type": "application/cloudevents-batch+json"})
    )
    assert answer.status == 400


@pytest.mark.parametrize(
    ("data", "properties"),
    [
        (b"Hello world", {"data": "Hello world"}),
        (b"2026-11-28", {"data": "2026-11-28"}),
        (b'{"n":1}', {"n": 1}),
        (b" 17 ", {"data": 17}),
        (b'"a"', {"data": "a"}),
        (b"\xff\x00", {"data_base64": "/wA="}),
    ],
)
def test_data_without_a_content_type_are_json_if_they_begin_like_it(
    data: bytes, properties: dict[str, object]
) -> None:
    sent = {name: text for name, text in BINARY.items() if name != "content-type"}
    (member,) = members_of(asked("POST", "/cloudevents", data, sent))
    (event,) = decode(member.value, format="cloudevents", origin=Origin("s", 0), headers=member.headers)
    assert type(event) is Event
    assert event.properties == properties


def test_data_in_another_charset_are_read_as_their_content_type_says() -> None:
    for content_type, data, properties in [
        ("text/plain; charset=iso-8859-1", "Köln", {"data": "Köln"}),
        ("application/json; charset=iso-8859-1", '{"city":"Köln"}', {"city": "Köln"}),
    ]:
        sent = {**BINARY, "content-type": content_type}
        (member,) = members_of(asked("POST", "/cloudevents", data.encode("latin-1"), sent))
        (event,) = decode(member.value, format="cloudevents", origin=Origin("s", 0), headers=member.headers)
        assert type(event) is Event
        assert event.properties == properties


def test_a_sender_may_ask_before_it_sends() -> None:
    answer = answer_of(asked("OPTIONS", "/cloudevents", headers={"webhook-request-origin": "events.example"}))
    assert answer.status == 200
    assert ("WebHook-Allowed-Origin", "events.example") in answer.headers
    assert ("WebHook-Allowed-Rate", "*") in answer.headers
    assert answer_of(asked("OPTIONS", "/cloudevents")).status == 400


@pytest.mark.parametrize(
    ("target", "headers"),
    [("/events", {"authorization": "Bearer wk"}), ("/events?access_token=wk", {}), ("/events?key=wk", {})],
)
def test_a_key_is_found(target: str, headers: dict[str, str]) -> None:
    assert cut(asked("POST", target, EVENT, headers)).credential == "wk"


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"\x00", {"content-type": "application/cloudevents+avro"}, 415),
        (b"{}", {"content-type": "application/cloudevents-batch+protobuf"}, 415),
        (b"", {}, 400),
        (b"{}", {"ce-type": "t", "ce-id": "1", "ce-source": "s"}, 400),
        (b"hello", {"content-type": "application/cloudevents+json"}, 400),
        (b"{", {}, 400),
    ],
)
def test_what_is_no_event_is_refused(body: bytes, headers: dict[str, str], status: int) -> None:
    answer = answer_of(asked("POST", "/cloudevents", body, headers))
    assert answer.status == status
    assert json_of(answer)["message"]
    assert answer_of(asked("POST", "/events", EVENT, {"content-type": "text/plain"})).status == 200


def test_overload_is_a_429_that_says_when_to_come_again() -> None:
    request = asked("POST", "/events", EVENT)
    answer = cut(request).protocol.refused(request, Why.BUSY, 9)
    assert (answer.status, answer.headers) == (429, (("Retry-After", "9"),))
