"""No key comes out in a member (C6), in whatever way it was written into it; and nothing else is lost."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.collect.protocols.cutting.keyless import Keyless, Names
from pipeline.collect.protocols.protocol import Malformed
from tests.collect.protocols.asking import asked, members_of
from tests.kit.examples import examples

LONG = "phc_Zx81kLmQ0nWvTrYp"
NAMES = Names("api_key", "token", "$token", "writeKey")


def clean(member: bytes, key: str | None = LONG, names: Names = NAMES) -> bytes:
    return Keyless(names, key).clean(member)


@pytest.mark.parametrize(
    ("member", "cleaned"),
    [
        (b'{"a":1,"token":"wk_1"}', b'{"a":1,"token":""}'),
        (b'{ "writeKey" : "wk_1" , "writeKey":"wk_1"}', b'{ "writeKey" : "" , "writeKey":""}'),
        (b'{"token":"another"}', b'{"token":""}'),
        (b'{"token":" wk_1 "}', b'{"token":""}'),
        (b'{"token":17,"n":1}', b'{"token":"","n":1}'),
        (b'{"token":null}', b'{"token":null}'),
        (b'{"token":{"a":["wk_1"]},"n":1}', b'{"token":"","n":1}'),
        (b'{"tok\\u0065n":"wk_1"}', b'{"tok\\u0065n":""}'),
        (b'{"token":"w\\u006b_1"}', b'{"token":""}'),
        (b'{"properties":{"token":"wk_1","n":1}}', b'{"properties":{"token":"","n":1}}'),
        (b'{"token":"WK2","token":"wk_1"}', b'{"token":"","token":""}'),
        (b'{"token":"WK2","properties":{"token":" wk_1 "}}', b'{"token":"","properties":{"token":""}}'),
        (b'{"properties":{"token":"mine","n":1}}', b'{"properties":{"token":"mine","n":1}}'),
        (b'{"a":[{"token":"wk_1"}],"b":"token"}', b'{"a":[{"token":""}],"b":"token"}'),
        (b'{"a":"token","wk_1":"wk_1"}', b'{"a":"token","wk_1":"wk_1"}'),  # too short to be no word
        (b'{"token":"wk_1","n":NaN}', b'{"token":"","n":NaN}'),
        (b'{"a":"\\"token\\":\\"x\\"","token":"wk_1"}', b'{"a":"\\"token\\":\\"x\\"","token":""}'),
    ],
)
def test_the_values_of_key_fields_are_cut_out(member: bytes, cleaned: bytes) -> None:
    assert clean(member, "wk_1") == cleaned


@pytest.mark.parametrize(
    "member",
    [
        b'{"url":"https://shop.example/?k=%s&x=1"}',
        b'{"%s":1}',
        b'{"a":["%s"]}',
        b'{"a":"%s',
        b"%s",
        b"{'a':'%s'}",
    ],
)
def test_a_key_that_is_no_word_is_cut_out_of_every_text(member: bytes) -> None:
    assert LONG.encode() not in clean(member.replace(b"%s", LONG.encode()))
    escaped = "".join(f"\\u{ord(letter):04x}" for letter in LONG).encode()
    cleaned = clean(b'{"url":"x%sx","%s":2,"n":1}'.replace(b"%s", escaped))
    assert json.loads(cleaned) == {"url": "x***x", "***": 2, "n": 1}


@pytest.mark.parametrize(
    "member", [b"{}", b'{"a":"caf\\u00e9","b":"\\\\u0041","c":1.50}', b"5", b'"', b"\xff"]
)
def test_what_holds_no_key_stays_as_it_is(member: bytes) -> None:
    assert clean(member) is member
    assert clean(member, None) is member


def test_a_request_that_takes_too_long_to_be_searched_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.collect.protocols.cutting.keyless._MOST_TEXTS", 1000)
    keyless = Keyless(NAMES, LONG)
    member = b'["' + LONG.encode().replace(b"p", b"\\u0070") + b'",' + b'"a",' * 200 + b"1]"
    assert keyless.clean(member).startswith(b'["***","a"')
    with pytest.raises(Malformed, match="too many texts"):
        keyless.clean_all([member] * 4, member)
    # What is another's field of that name costs nothing.
    keyless = Keyless(NAMES, "wk_1")
    member = b'{"properties":[' + b'{"token":"mine"},' * 2000 + b"1]}"
    assert keyless.clean(member) == member


@pytest.mark.parametrize(
    "member",
    [
        b'{"a":"\\u0041","b":[' + b'"",' * 300_000 + b"1]}",
        b'{"a":"\\u0041","b":[' + b"1," * 500_000 + b"1]}",
        b'{"' + LONG.encode().replace(b"p", b"\\u0070") + b'":"' + b'\\"' * 500_000,
        b'{"token":1,"token":2,"a":"' + b'\\"' * 500_000,
    ],
    ids=["texts", "numbers", "an unfinished text behind an escaped key", "and behind a key field"],
)
@pytest.mark.timeout(60)
def test_a_hostile_megabyte_is_searched_once_and_not_from_each_of_its_bytes(member: bytes) -> None:
    clean(member)  # an hour, otherwise


_keys = st.sampled_from(["wk_live_1", LONG, 'a/b\\c"d-0123456789', "schlüssel-0123456789"])
_leaves = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just("KEY") | st.just("xKEYx")
_names = st.sampled_from(["api_key", "token", "$token", "writeKey", "properties", "a", "KEY"])


class Pairs(list[Any]):
    """The fields of an object, any of which may come twice."""


def values() -> st.SearchStrategy[Any]:
    return st.recursive(
        _leaves,
        lambda inner: st.lists(inner, max_size=3) | st.lists(st.tuples(_names, inner), max_size=4).map(Pairs),
        max_leaves=10,
    )


def written(value: Any, key: str, draw: Any) -> str:
    """Write a value, every text with escapes of its own."""
    if isinstance(value, Pairs):
        fields = (f"{written(name, key, draw)} : {written(held, key, draw)}" for name, held in value)
        return "{" + ",".join(fields) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(written(held, key, draw) for held in value) + "]"
    if not isinstance(value, str):
        return json.dumps(value)
    text = value.replace("KEY", key if value == "KEY" or len(key) >= 16 else "")
    return '"' + "".join(escaped(letter, draw) for letter in text) + '"'


def escaped(letter: str, draw: Any) -> str:
    if letter in '"\\' or ord(letter) < 32 or draw(st.integers(0, 7)) == 0:
        units = letter.encode("utf-16-be", "surrogatepass")
        return "".join(f"\\u{units[at]:02x}{units[at + 1]:02X}" for at in range(0, len(units), 2))
    return "\\/" if letter == "/" and draw(st.booleans()) else letter


def texts(value: Any) -> list[str]:
    if isinstance(value, list):
        return [text for held in value for text in texts(held)]
    if isinstance(value, tuple):
        return [text for held in value for text in texts(held)]
    return [value] if isinstance(value, str) else []


@settings(max_examples=examples(40))
@given(st.data(), _keys)
def test_no_key_comes_out(data: st.DataObject, key: str) -> None:
    given_ = data.draw(st.lists(st.tuples(_names, values()), max_size=5).map(Pairs))
    member = written(given_, key, data.draw).encode("utf-8", "surrogatepass")
    cleaned = clean(member, key)
    assert key.encode() not in cleaned
    read = json.loads(cleaned, object_pairs_hook=Pairs)
    assert not any(key in text for text in texts(read))


def test_what_stands_beside_a_member_has_no_key_either() -> None:
    key = "wk_live_0123456789"
    page = {"api_key": key, "event": "A", "distinct_id": key, "uuid": "1"}
    spelled = "".join(f"%{ord(sign):02x}" for sign in key)
    event = {
        "authorization": f"Bearer {key}", "content-type": f"application/json; of={key}",
        "ce-specversion": "1.0", "ce-type": "A", "ce-id": "1", "ce-source": f"/{spelled}", "ce-subject": key,
    }  # fmt: skip
    (one,) = members_of(asked("POST", "/e/", page))
    (other,) = members_of(asked("POST", "/cloudevents", b"{}", event))
    assert (one.user, other.user) == ("***", "***")
    assert dict(other.headers)["ce_source"] == b"/***"
    assert key.encode() not in b"".join(value for _, value in other.headers)
