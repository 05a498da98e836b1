"""Native records over HTTP: one, an array, one a line."""

from __future__ import annotations

import json

import pytest

from pipeline.collect.batch import Why
from pipeline.collect.protocols.protocol import Limits, Settings
from pipeline.collect.protocols.table import Table
from tests.collect.protocols.asking import NOW, answer_of, asked, cut, headers_of, json_of, members_of

EVENT = {"type": "event", "name": "A", "user_id": "u1", "id": "i1", "time": NOW}
LINE = json.dumps(EVENT).encode()


@pytest.mark.parametrize(
    ("body", "count"),
    [
        (LINE, 1),
        (json.dumps(EVENT, indent=2).encode(), 1),
        (b"\xef\xbb\xbf \n" + LINE + b"\n", 1),
        (b"[" + LINE + b", " + LINE + b"]", 2),
        (LINE + b"\n" + LINE, 2),
        (LINE + b"\r\n\r\n" + LINE + b"\r\n", 2),
        (LINE + b"\nhello\n" + LINE, 3),
        (b'{"n":NaN}\n' + LINE, 2),
        (LINE[:-1] + b',"n":NaN}', 1),
        (b"[5," + LINE + b"]", 2),
    ],
)
def test_records_come_one_or_in_an_array_or_a_line_each(body: bytes, count: int) -> None:
    request = asked("POST", "/v1/events", body, {"authorization": "Bearer wk"})
    found = cut(request)
    assert (len(found.pieces), found.credential) == (count, "wk")
    assert json_of(answer_of(request)) == {"accepted": count, "repeats": 0}
    for member in found.batch("web", request).members:
        if member.value == LINE:
            assert (member.user, member.at_ms, member.same is not None) == ("u1", NOW, True)


@pytest.mark.parametrize(
    "body", [b"", b" \n", b"5", b'"a"', b"hello", b"{", b"[]", b"a\nb", b"{]\n{]", b"\xff"]
)
def test_what_is_no_record_is_refused(body: bytes) -> None:
    answer = answer_of(asked("POST", "/v1/events", body))
    assert answer.status == 400
    assert json_of(answer).keys() >= {"code", "message"}


@pytest.mark.parametrize(
    ("target", "headers"),
    [
        ("/v1/events", {"authorization": "bearer  wk "}),
        ("/v1/events?key=wk", {}),
        ("/v1/events", {"x-write-key": "wk"}),
    ],
)
def test_a_key_is_found_beside_the_body(target: str, headers: dict[str, str]) -> None:
    assert cut(asked("POST", target, LINE, headers)).credential == "wk"
    assert cut(asked("POST", "/v1/events", LINE)).credential is None


@pytest.mark.parametrize("shown", ["wk_live_1234567890", "\\u0077k_live_1234567890"])
def test_a_key_is_in_no_record_however_it_is_written(shown: str) -> None:
    body = LINE[:-1] + f',"said":"{shown}","k":"x"}}'.encode()
    (member,) = members_of(asked("POST", "/v1/events", body, {"x-write-key": "wk_live_1234567890"}))
    assert member.value is not None
    assert json.loads(member.value) == {**EVENT, "said": "***", "k": "x"}


def test_one_record_that_is_too_large_is_refused() -> None:
    table = Table(Settings(limits=Limits(member_bytes=len(LINE))))
    assert answer_of(asked("POST", "/v1/events", LINE), table).status == 200
    assert answer_of(asked("POST", "/v1/events", {**EVENT, "a": 1}), table).status == 413


def test_a_time_in_the_future_becomes_that_of_receipt() -> None:
    (member,) = members_of(asked("POST", "/v1/events", {**EVENT, "time": NOW + 3_600_000}))
    assert (member.at_ms, headers_of(member)["hk-shift"]) == (NOW, "-3600000")


def test_the_id_of_a_user_does_not_make_two_updates_one() -> None:
    (member,) = members_of(asked("POST", "/v1/events", {"type": "user", "user_id": 7, "id": "7"}))
    assert (member.user, member.same) == ("7", None)


def test_verdicts_are_asked_for_by_a_header() -> None:
    assert cut(asked("POST", "/v1/events", LINE, {"x-hookline-verify": "1"})).verdicts
    assert not cut(asked("POST", "/v1/events", LINE)).verdicts


def test_a_refusal_says_when_to_come_again() -> None:
    request = asked("POST", "/v1/events", LINE)
    answer = cut(request).protocol.refused(request, Why.BUSY, 3)
    assert (answer.status, answer.headers) == (503, (("Retry-After", "3"),))
