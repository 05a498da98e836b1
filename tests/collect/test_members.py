"""A poisoned member costs that member (C4): whatever is in it, the others are cut as they were sent."""

from __future__ import annotations

import json
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.collect.protocols.cutting import members
from pipeline.collect.protocols.posthog.v1 import _HEADERS as HEADERS
from pipeline.collect.protocols.protocol import Limits, Malformed, Settings
from pipeline.collect.protocols.table import Table
from pipeline.decode.decode import COLLECTED, decode
from pipeline.model.records import Event, Invalid, Origin
from pipeline.model.sizes import KEPT_BYTES
from tests.collect.protocols.asking import asked, members_of
from tests.kit.examples import examples

GOOD = b'{"type":"track","event":"A","userId":"u","messageId":"m","timestamp":"2026-11-28T11:44:51Z"}'
POISON = [
    b'{"n":NaN}',
    b'{"n":[-Infinity, Infinity]}',
    b'{"n":1e400}',
    b'{"n":123456789012345678901234567890}',
    b'{"n":' + b"9" * 5000 + b"}",
    b'{"n":"\\ud800"}',
    b'{"n":"\xff\xfe"}',
    b'{"n":"a\x01b\nc"}',
    b'{"n":' + b"[" * 5000 + b"]" * 5000 + b"}",
    b'{"n":' * 3000 + b"1" + b"}" * 3000,
    b'{"n":undefined}',
    b"{'n':1}",
    b'{"n":1,}',
    b"5",
    b"null",
    b'"text"',
    b"[]",
]
NO_JSON = POISON[10:13]
"""What nobody's reader takes, wherever it ends."""


@pytest.mark.parametrize("poison", POISON)
@pytest.mark.parametrize(
    "around",
    [
        b'{"batch":[%s],"sentAt":"2026-11-28T11:44:51Z","writeKey":"WK"}',
        b' {"writeKey" : "WK" , "batch" : [ %s ] } \n',
        b"\xef\xbb\xbf[%s]",
    ],
)
def test_the_others_of_a_poisoned_batch_are_kept_as_they_were_sent(poison: bytes, around: bytes) -> None:
    body = around.replace(b"%s", b" , ".join([GOOD, poison, GOOD]))
    first, bad, last = members_of(asked("POST", "/v1/batch", body))
    assert first.value == last.value == GOOD
    assert bad.value == poison
    assert first.user == "u"
    found = decode(bad.value, format="segment", origin=Origin("s", 0))
    assert [type(one) for one in found] == [Invalid]


def test_of_a_batch_of_a_hundred_95_flow_and_five_are_recorded() -> None:
    broken = [b'{"n":NaN}', b'{"n":1e400}', b'{"n":' + b"1" * 26 + b"}", b'{"n":"\\ud800"}', b"5"]
    body = b'{"batch":[' + b",".join([*[GOOD] * 95, *broken]) + b"]}"
    found = members_of(asked("POST", "/v1/batch", body))
    assert [member.value for member in found] == [*[GOOD] * 95, *broken]
    read = [decode(member.value, format="segment", origin=Origin("s", 0)) for member in found]
    assert [type(one) for records in read for one in records] == [Event] * 95 + [Invalid] * 5


@pytest.mark.parametrize(
    ("path", "around"),
    [
        ("/v1/events", b"[%s]"),
        ("/v1/events", b"%n"),
        ("/v1/batch", b'{"batch":[%s]}'),
        ("/e/", b"[%s]"),
        ("/api/track", b'{"app_id":"1","events":[%s]}'),
        ("/cloudevents", b"[%s]"),
        ("/2/httpapi", b'{"api_key":"k","events":[%s]}'),
    ],
)
def test_a_member_that_is_too_large_costs_that_member(path: str, around: bytes) -> None:
    table = Table(Settings(limits=Limits(member_bytes=100_000)))
    large = b'{"userId":"u","identity":"u","p":"' + b"x" * 200_000 + b'"}'
    three = [GOOD, large, GOOD]
    body = around.replace(b"%s", b",".join(three)).replace(b"%n", b"\n".join(three))
    first, cut_short, last = members_of(asked("POST", path, body), table)
    assert first.value == last.value == GOOD
    assert cut_short.value == large[:KEPT_BYTES]
    headers = list(cut_short.headers)
    (found,) = decode(cut_short.value, format=COLLECTED, origin=Origin("s", 0), headers=headers)
    assert isinstance(found, Invalid)
    assert f"{len(large):,} bytes" in found.reason
    with pytest.raises(Malformed, match=r"limits.member") as refused:
        members_of(asked("POST", path, around.replace(b"%s", large).replace(b"%n", large)), table)
    assert refused.value.status == 413


@pytest.mark.parametrize(
    ("path", "around"),
    [
        ("/v1/events", b"[%s]"),
        ("/v1/batch", b'{"batch":[%s]}'),
        ("/e/", b"[%s]"),
        ("/i/v1/analytics/events", b'{"batch":[%s]}'),
        ("/api/track", b'{"app_id":"1","events":[%s]}'),
        ("/cloudevents", b"[%s]"),
        ("/groups", b"[%s]"),
        ("/2/httpapi", b'{"api_key":"k","events":[%s]}'),
    ],
)
def test_members_without_an_id_are_no_repeats_and_a_poisoned_one_has_nobody(path: str, around: bytes) -> None:
    three = b",".join([b'{"type":"event","event":"A","source":"s"}', b'{"n":undefined}', b"5"])
    headers = {**dict.fromkeys(HEADERS, "1795866291000"), "authorization": "Bearer k"}
    found = members_of(asked("POST", path, around.replace(b"%s", three), headers))
    assert [member.same for member in found] == [None] * 3
    assert [member.user for member in found[1:]] == [None, None]


@pytest.mark.parametrize("poison", POISON[:10])
def test_a_poisoned_record_alone_is_kept(poison: bytes) -> None:
    (member,) = members_of(asked("POST", "/v1/track", poison))
    assert member.value == poison


@pytest.mark.parametrize("poison", NO_JSON)
def test_a_record_alone_that_is_no_json_is_refused(poison: bytes) -> None:
    with pytest.raises(Malformed):
        members_of(asked("POST", "/v1/track", poison))


def test_a_context_that_is_no_json_goes_along_for_the_job_to_say_so() -> None:
    (member,) = members_of(asked("POST", "/v1/batch", b'{"batch":[{}],"context":{"n":NaN}}'))
    assert dict(member.headers)["hk-context"] == b'{"n":NaN}'


@pytest.mark.parametrize(
    "body",
    [
        b'{"batch":[%s',
        b'{"batch":[%s]',
        b'{"batch":[%s}}',
        b'{"batch":[%s]}}',
        b'{"batch":[%s, nan]}',
        b'{"batch":[1,,%s]}',
        b'{"batch":["a" %s]}',
        b'{"batch":[, ,]}',
        b'{"batch":[%s],}',
        b'{"batch":[%s],"x"}',
        b'{"batch":[%s]"x":1}',
        b'{5:1,"batch":[%s]}',
        b'{"batch":[%s,"' + b"x" * 100,
        b'{"batch":' + b"[" * 100_000,
        b"[" * 100_000 + b"]" * 99_999,
        b"[%s]]",
    ],
)
def test_a_body_that_is_broken_itself_is_refused(body: bytes) -> None:
    with pytest.raises(Malformed):
        members_of(asked("POST", "/v1/batch", body.replace(b"%s", GOOD)))


@pytest.mark.parametrize(
    "body",
    [
        b'{"batch":[\n,%s\n,%s],"sentAt":"2026-11-28T11:44:51Z","writeKey":"WK"}',
        b'{"batch":[%s%s],"writeKey":"WK"}',
        b'{"batch":[%s,,%s],"writeKey":"WK"}',
        b'{"batch":[%s,%s,],"writeKey":"WK"}',
        b'{"batch":[%s\0\0\0,\n%s],"writeKey":"WK"}',
        b'{"batch":[%s],"writeKey":"WK"}{"batch":[%s],"writeKey":"WK"}',
        b'{"batch":[%s],"writeKey":"WK"},\n{"batch":[%s],"writeKey":"WK"}',
        b"[%s %s,]",
    ],
)
def test_members_are_found_whatever_separates_them(body: bytes) -> None:
    request = asked("POST", "/v1/batch?writeKey=WK", body % (GOOD, GOOD))
    assert [member.value for member in members_of(request)] == [GOOD, GOOD]


@pytest.mark.parametrize(
    "body",
    [
        b'{"batch":[%s,%s',  # the rest may come
        b'{"batch":[%s]}{"event":"A"} %s',
        b'{"batch":[%s]}%s',
        b'{"batch":[%s:%s]}',
    ],
)
def test_what_may_be_something_else_is_refused(body: bytes) -> None:
    with pytest.raises(Malformed):
        members_of(asked("POST", "/v1/batch", body % (GOOD, GOOD)))


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(string.printable), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=examples(40))
@given(st.lists(_values, min_size=1, max_size=6), st.sampled_from([None, 2]), st.booleans())
def test_members_are_cut_where_they_stand(values: list[object], indent: int | None, is_ascii: bool) -> None:
    texts = [
        json.dumps(value, indent=indent, ensure_ascii=is_ascii).encode("utf-8", "surrogatepass")
        for value in values
    ]
    assert members.items(b"[" + b" ,\n".join(texts) + b"]", Limits()) == texts
    poisoned = [*texts, b'{"n":NaN}']
    assert members.items(b"[" + b",".join(poisoned) + b" ]", Limits()) == poisoned


@settings(max_examples=examples(40))
@given(st.binary(max_size=60) | st.text('{}[]",:1aN\\ \n', max_size=40).map(str.encode))
def test_any_bytes_are_cut_or_refused(body: bytes) -> None:
    for path in ("/v1/events", "/v1/batch", "/v1/track", "/e/", "/api/track", "/cloudevents", "/2/httpapi"):
        try:
            found = members_of(asked("POST", path, body))
        except Malformed:
            continue
        assert found or path == "/cloudevents"  # which knows empty batches


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/batch", b'{"batch":[%s],"sentAt":"x","batch":[%s]}'),
        ("/v1/batch", b'{"batch":[],"batch" : [%s]}'),
        ("/v1/batch", b'{"b\\u0061tch":[%s],"batch":[%s]}'),
        ("/v1/batch", b'{"batch":[%s,{"n":NaN}],"batch":[%s]}'),
        ("/e/", b'{"api_key":"k","batch":[%s],"batch":[%s]}'),
        ("/api/track", b'{"app_id":"1","events":[%s],"events":[%s]}'),
        ("/2/httpapi", b'{"api_key":"k","events":[%s],"events":[%s]}'),
    ],
)
def test_of_two_lists_in_one_envelope_none_is_lost(path: str, body: bytes) -> None:
    with pytest.raises(Malformed, match="has two"):
        members_of(asked("POST", path, body.replace(b"%s", GOOD)))


@pytest.mark.parametrize("inside", [b'{"batch":[1]}', b'{"b\\u0061tch":1,"batch":2,"batch":3}'])
def test_members_may_have_a_list_of_that_name_themselves(inside: bytes) -> None:
    body = b'{"batch":[%s,%s],"context":%s,"sentAt":"batch"}' % (inside, inside, inside)
    assert [member.value for member in members_of(asked("POST", "/v1/batch", body))] == [inside] * 2


@pytest.mark.parametrize("bad", [b"", b'{"n":NaN}\n'])
def test_many_lines_are_taken_up_to_the_limit_of_a_body(bad: bytes) -> None:
    record = b'{"type":"event","name":"A","user_id":"u","properties":{"x":"' + b"-" * 4000 + b'"}}\n'
    limits = Limits(members=5_000)
    for body in (record * 2_500 + bad + record, bad + record * 2_500):
        assert len(body) > 10_000_000
        found = members.lines(body, limits)
        assert len(found) == body.count(b"\n")
    pretty = json.dumps({"a": [1] * 1_000_000, "n": float("nan")}, indent=0).encode()
    with pytest.raises(Malformed, match="too many to look"):
        members.lines(pretty * 4, limits)


@pytest.mark.parametrize("between", [b"", b" ", b"\n  ", b", "])
def test_what_curl_makes_of_lines_is_read(between: bytes) -> None:
    pretty = json.dumps(json.loads(GOOD), indent=1).encode()
    for record in (GOOD, pretty):
        assert members.lines(record + between + record, Settings().limits) == [record, record]
    with pytest.raises(Malformed, match="--data-binary"):
        members.lines(GOOD + GOOD + b"hello", Settings().limits)


def test_of_joined_envelopes_no_more_are_looked_at_than_may_be_taken() -> None:
    for last in (b'{"batch":[{}]}', b'{"batch":17}'):
        with pytest.raises(Malformed) as raised:
            members.batch(b'{"batch":[{},{}]}{"batch":[{}]}' + last, Limits(members=2))
        assert raised.value.status == 413
