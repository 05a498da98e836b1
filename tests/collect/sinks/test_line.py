"""A member's line gives back what was sent, byte for byte, as `hookline record` would have written it."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.collect.batch import Member
from pipeline.collect.protocols.cutting.members import Good, items
from pipeline.collect.protocols.protocol import Limits
from pipeline.collect.sinks.recording.line import line_rests
from pipeline.sources.files.lines.recorded import Message, dump_line, parse_line
from tests.kit.examples import examples

HEAD = b'{"hookline":1,"source":"collect-00000000/0","offset":7,"time":1764000000000'

VALUES = st.one_of(
    st.none(),
    st.binary(max_size=12),
    st.sampled_from(
        [
            b"null", b"", b" ", b"[1", b"2]", b'{"a":1', b'"b":2}', b"1,2", b'"a', b'b"',
            b' {"a":1}', b'{"a":1} ', b'{"a":\n1}', b'{"a":NaN}', b'{"a":1e400}', b'{"a":"\\n"}', b"\0",
            b'{"a":12345678901234567890123456}', b'{"a":"\\ud800"}', b'{"a":"\xff"}', b"\xef\xbb\xbf{}",
            b"[" * 150 + b"]" * 150, b"[" * 3000 + b"]" * 3000, b"[" + b"[],{}," * 300 + b"0]",
            b'{"a":"' + b"x" * 600 + b'"}',
        ]
    ),
)  # fmt: skip
HEADERS = st.lists(
    st.tuples(st.sampled_from(["hk-key", "hk-context", "x-é"]), st.binary(max_size=5)), max_size=3
)
MEMBERS = st.builds(
    Member, VALUES, st.none() | st.text(max_size=4) | st.just("\ud800"), st.none(),
    st.none() | st.binary(min_size=16, max_size=16), HEADERS,
)  # fmt: skip


@settings(max_examples=examples(80))
@given(st.lists(MEMBERS, max_size=9))
def test_a_line_gives_back_what_was_sent(members: list[Member]) -> None:
    for member, rest in zip(members, line_rests(members), strict=True):
        line = HEAD + rest
        assert line.index(b"\n") == len(line) - 1
        same = [] if member.same is None else [("hk-same", member.same.hex().encode())]
        key = None if member.user is None else member.user.encode("utf-8", "surrogatepass")
        headers = [*same, *member.headers]
        said = Message("collect-00000000/0", 7, 1764000000000, key, headers or None, member.value)
        assert parse_line(line) == said
        assert line == dump_line(said)
        assert line.decode()  # JSON for everybody


def test_one_bad_member_does_not_cost_the_others_their_form() -> None:
    members = [Member(b'{"n":%d}' % n, "u", None, None, ()) for n in range(99)]
    members.insert(50, Member(b'{"n":NaN}', "u", None, None, ()))
    assert sum(b'"value_base64"' in rest for rest in line_rests(members)) == 1


GOOD = st.dictionaries(st.text(max_size=4), st.none() | st.integers() | st.text() | st.floats(), max_size=3)


@settings(max_examples=examples(80))
@given(
    st.lists(
        st.tuples(GOOD, st.none() | st.text(max_size=4), st.none() | st.binary(max_size=16)), min_size=1
    ),
    st.booleans(),
)
def test_members_that_were_found_good_get_the_line_that_others_get(
    found: list[tuple[object, str | None, bytes | None]], ascii_only: bool
) -> None:
    texts = [json.dumps(value, ensure_ascii=ascii_only) for value, _, _ in found]
    body = f"[{','.join(texts)}]".encode("utf-8", "surrogatepass")
    values = items(body, Limits())
    headers = (("hk-protocol", b"segment"), ("hk-key", b"100% web"))
    members = [
        Member(value, user, None, same, headers) for value, (_, user, same) in zip(values, found, strict=True)
    ]
    assert line_rests(members, isinstance(values, Good)) == line_rests(members)


def test_only_what_any_reader_of_a_line_finds_again_is_good() -> None:
    deep = b'{"a":' + b"[" * 300 + b"]" * 300 + b"}"
    for body in (b"[null]", b'[{"a":\n1}]', b'[{"a":"\xff"}]', b"[" + deep + b"]", b'[{"a":NaN}]'):
        assert not isinstance(items(body, Limits()), Good)
    assert isinstance(items(b'[ {"a": 1} ,\t{"b":"\xc3\xa9"}]', Limits()), Good)
