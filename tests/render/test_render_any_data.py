"""Whatever the data: the body is valid JSON with the data's own code points, or a dead letter."""

from __future__ import annotations

import json
import unicodedata
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.language.slots import header_safe
from pipeline.model.errors import RenderError
from pipeline.render.filters.table import FILTERS
from tests.kit.streams.samples import shared_data
from tests.render.rendering import a_user, an_event, compiled, rendered

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
SCALARS = (
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | TEXTS
    | st.floats(allow_nan=False, allow_infinity=False)
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
ANYTHING = VALUES | st.text(max_size=5) | st.floats() | st.integers()


def naughty() -> list[str]:
    """Return the list of naughty strings, and some that must never be mistaken for syntax."""
    try:
        listed: list[str] = json.loads((shared_data() / "nasty/blns.json").read_text())
    except pytest.skip.Exception:
        listed = []
    own = [
        "{{ event.id }}",
        "{% if x %}",
        "${TOK}",
        "$if",
        "\x01TOK\x02",
        "\\u0001",
        "a\r\nb: c",
        "\x00",
        "%00",
        "&=#?",
    ]
    return listed + own


BODY, _ = compiled(
    {
        "body": {
            "alone": "{{ event.properties.v }}",
            "around": "<{{ event.properties.v }}>",
            "two": "{{ user.id }}{{ event.properties.v }}",
            "liquid": "{{ event.properties.v | default: event.properties.v }}",
            "tags": "{% if true %}{{ event.properties.v }}{% endif %}",
            "secret": "${TOK}{{ event.properties.v }}",
            "user": "{{ user.id }}",
            "name": "{{ event.name }}",
            "all": {"$spread": "{{ event.properties }}"},
            "event": "{{ event }}",
        }
    }
)
SENT, _ = compiled(
    {
        "url": "https://x.example/u/{{ event.properties.v }}/e?a={{ event.properties.v }}&z=1",
        "query": {"b": "{{ event.properties.v }}", "c": "<{{ event.properties.v }}>"},
        "headers": {"X-V": "{{ event.properties.v }}", "X-W": "<{{ event.properties.v }}>"},
        "encoding": "form",
        "body": {
            "v": "{{ event.properties.v }}",
            "w": "<{{ event.properties.v }}>",
            "o": "{{ event.properties }}",
        },
    }
)
FORM, _ = compiled(
    {"encoding": "form", "body": {"v": "<{{ event.properties.v }}>", "o": "{{ event.properties }}"}}
)
URL, _ = compiled(
    {
        "url": "https://x.example/u/{{ event.properties.v }}/e?a={{ event.properties.v }}",
        "query": {"b": "<{{ event.properties.v }}>"},
    }
)
SEVERAL, _ = compiled({"url": "https://x.example/u/{{ event.properties.v | url_path }}/e"})
HEADER, _ = compiled({"headers": {"X-V": "<{{ event.properties.v }}>"}, "body": {}})


def check_text(text: str) -> None:
    """Render a text as value, name of a property, user id and event name: each arrives unchanged."""
    event = an_event({"v": text, text: 1} if text != "v" else {"v": text}, name=text)
    user = a_user({text: text}, id=text)
    got = orjson.loads(BODY.render(event, user).body.replace(b"\x01TOK\x02", b""))
    assert got["alone"] == got["user"] == got["name"] == got["tags"] == got["secret"] == text
    assert got["liquid"] == text
    assert got["around"] == f"<{text}>"
    assert got["two"] == text + text
    assert got["all"] == got["event"]["properties"] == event.properties
    assert got["event"]["name"] == text
    climbs = any(part.partition(";")[0] in (".", "..") for part in text.split("/"))
    controls = any(character == "\\" or unicodedata.category(character) == "Cc" for character in text)
    if not text or climbs or controls or text.startswith("/"):
        with pytest.raises(RenderError):
            URL.render(event, user)
    else:
        split = urlsplit(URL.render(event, user).url)
        assert (split.scheme, split.netloc) == ("https", "x.example")
        assert [unquote(part) for part in split.path.split("/")] == ["", "u", text, "e"]
        assert parse_qsl(split.query.replace("+", "%2B"), keep_blank_values=True) == [
            ("a", text),
            ("b", f"<{text}>"),
        ]
    if not text or climbs or controls:
        with pytest.raises(RenderError):
            SEVERAL.render(event, user)
    else:
        assert unquote(SEVERAL.render(event, user).url) == f"https://x.example/u/{text}/e"
    pairs = dict(parse_qsl(FORM.render(event, user).body.decode(), keep_blank_values=True))
    assert pairs["v"] == f"<{text}>"
    assert pairs["o[v]"] == text
    assert f"o[{text}]" in pairs
    if all(character == "\t" or " " <= character <= "~" for character in text):
        assert dict(HEADER.render(event, user).headers)["X-V"] == f"<{text}>"
    else:
        with pytest.raises(RenderError):
            HEADER.render(event, user)


@pytest.mark.parametrize("text", naughty(), ids=lambda text: ascii(text)[:30])
def test_a_naughty_string_arrives_code_point_for_code_point(text: str) -> None:
    check_text(text)


@given(TEXTS)
def test_any_text_arrives_code_point_for_code_point(text: str) -> None:
    check_text(text)


@given(st.dictionaries(TEXTS, VALUES, max_size=5), VALUES)
def test_any_json_comes_out_as_it_went_in(properties: dict[str, Any], value: Any) -> None:
    event = an_event({**properties, "v": value})
    got = orjson.loads(BODY.render(event, a_user(properties)).body.replace(b"\x01TOK\x02", b""))
    same = orjson.loads(orjson.dumps(event.properties))
    assert got["event"]["properties"] == got["all"] == same
    assert got["alone"] == same["v"]
    assert isinstance(got["around"], str)


@given(st.dictionaries(st.text(max_size=5), ANYTHING, max_size=4), ANYTHING)
def test_values_that_json_has_not_are_dead_letters_or_valid(properties: dict[str, Any], value: Any) -> None:
    event = an_event({**properties, "v": value})
    for template in (BODY, SENT):
        try:
            made = template.render(event, a_user(properties))
        except RenderError:
            continue
        made.body.decode()
        assert made.url.isascii()
        assert all(header_safe(text) for _, text in made.headers)


CHAINS = st.lists(st.sampled_from(sorted(FILTERS)), min_size=1, max_size=3)


@given(CHAINS, VALUES, VALUES, VALUES)
def test_any_chain_of_filters_gives_json_or_a_dead_letter(
    names: list[str], value: Any, one: Any, two: Any
) -> None:
    calls = []
    for name in names:
        count = max(FILTERS[name].least, min(2, FILTERS[name].most))
        arguments = ", ".join(("event.properties.one", "event.properties.two")[:count])
        calls.append(f"{name}: {arguments}" if arguments else name)
    event = an_event({"v": value, "one": one, "two": two})
    template = f"{{{{ event.properties.v | {' | '.join(calls)} }}}}"
    before = orjson.dumps(event.properties)
    reason = ""
    try:
        orjson.loads(rendered({"body": {"v": template, "t": f"<{template}>"}}, event).body)
    except RenderError as error:
        reason = str(error)
    assert not reason.startswith(("TypeError", "AttributeError", "KeyError", "IndexError", "ValueError"))
    assert orjson.dumps(event.properties) == before


@given(st.text("{}%|'\" .[]()$evntid:,=<>!-x1#ifor", max_size=40))
def test_any_template_is_compiled_or_reported(text: str) -> None:
    template, problems = compiled(
        {"url": f"https://x.example/{text}", "headers": {"X": text}, "body": {"a": text, "b": [text]}}
    )
    if problems.errors:
        return
    try:
        template.render(an_event({"x": 1}), a_user())
    except RenderError:
        pass  # a dead letter is right too
