"""Bodies that are one text: sent as it is under `encoding: text`, refused where a JSON body is meant."""

from __future__ import annotations

import csv
import io
from typing import Any
from xml.etree import ElementTree as xml

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.language.secrets import Secrets
from pipeline.language.slots import fill, mask
from pipeline.model.errors import RenderError
from tests.kit.streams.records import event
from tests.render.rendering import an_event, mistakes, rendered

CONTROLS = "".join(map(chr, range(32)))
SECRETS = Secrets({"TOK": 'a"<\n&ü'})
VALUES = {"text": "Ä & <b>", "n": 5, "list": [1, "x"], "none": None, "half": "\ud800", "slot": "\x01TOK\x02"}


def text_of(body: str, **request: Any) -> str:
    """Return the text that is sent."""
    request = {"encoding": "text", "body": body, **request}
    made = rendered(request, an_event(VALUES), secrets=SECRETS)
    _, _, sent = fill(made.url, made.headers, made.body, encoding="text", secrets=SECRETS)
    return sent.decode()


def dead(body: str, **request: Any) -> str:
    """Return the reason why there is no body."""
    with pytest.raises(RenderError) as caught:
        text_of(body, **request)
    return str(caught.value)


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        ("fixed", "fixed"),
        ("", ""),
        ('{"text": "{{ event.properties.text }}"}', '{"text": "Ä & <b>"}'),
        ("{{ event.properties.text }};{{ event.properties.n }}\n", "Ä & <b>;5\n"),
        ("{{ event.properties.n }}", "5"),
        ("{{ event.properties.list }}", '[1,"x"]'),
        ("{{ event.properties.gone }}{{ event.properties.none }}", ""),
        ("{{ event.properties.gone }}", ""),
        ("<a>{{ event.properties.text | xml_escape }}</a>", "<a>Ä &amp; &lt;b&gt;</a>"),
        ("{% for x in event.properties.list %}{{ x }},{% endfor %}", "1,x,"),
        ("key=${TOK} {{ event.properties.text }}", 'key=a"<\n&ü Ä & <b>'),
        ("${TOK}", 'a"<\n&ü'),
    ],
)
def test_a_text_is_sent_as_it_is(body: str, sent: str) -> None:
    assert text_of(body) == sent


def test_its_content_type_is_plain_text_unless_it_says_otherwise() -> None:
    def content_type(**request: Any) -> str:
        made = rendered({"encoding": "text", "body": "x", **request})
        return dict(made.headers)["content-type"]

    assert content_type() == "text/plain; charset=utf-8"
    assert content_type(content_type="application/xml") == "application/xml"
    headers = rendered(
        {"encoding": "text", "body": "x", "content_type": "text/csv", "headers": {"Content-Type": "a/b"}}
    ).headers
    assert headers == (("Content-Type", "a/b"),)


@pytest.mark.parametrize(
    ("body", "request_", "reason"),
    [
        ("{{ event.properties.gone }}", {"missing": "dead_letter"}, "the whole body is left out"),
        ("{{ event.properties.gone | require }}", {}, "required"),
        ("{{ event.properties.half }}", {}, "surrogate pair"),
        ("x {{ event.properties.half }}", {}, "surrogate pair"),
        ("{{ event.properties.slot }}", {}, "control characters"),
        ("${TOK} {{ event.properties.slot }}", {}, "control characters"),
        ("{{ event.properties.slot | xml_escape }}", {}, "XML cannot hold the character U+0001"),
    ],
)
def test_what_no_text_can_carry_is_a_dead_letter(body: str, request_: dict[str, Any], reason: str) -> None:
    found = dead(body, **request_)
    assert reason in found
    assert "webhooks/w.yaml" in found


def test_secrets_in_a_text_are_slots_until_it_is_sent() -> None:
    made = rendered({"encoding": "text", "body": "k=${TOK};{{ event.id }}"}, secrets=SECRETS)
    assert mask(made.body) == b"k=${TOK};e1"


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        ({"encoding": "text"}, "the body of `encoding: text` is missing (write it as a block"),
        (
            {"encoding": "text", "body": {"a": 1}},
            "the body of `encoding: text` is no text (write it",
        ),
        ({"encoding": "text", "body": [1]}, "the body of `encoding: text` is no text"),
        ({"content_type": "text/csv"}, "`content_type` goes with `encoding: text`"),
        ({"encoding": "text", "body": "x", "content_type": "csv"}, "a content type is a text such as"),
        (
            {"encoding": "text", "body": "x", "content_type": "text/csv\r\nX: y"},
            "a content type is",
        ),
    ],
)
def test_mistakes_are_told(request_: dict[str, Any], told: str) -> None:
    assert any(told in found for found in mistakes(request_)), mistakes(request_)


def test_a_batch_joins_json_bodies_only() -> None:
    for encoding, body in (("text", "x"), ("form", {"a": 1})):
        found = mistakes({"encoding": encoding, "body": body}, batch_as="ndjson")
        assert found == [f"batch: a batch joins JSON bodies, not those of `{encoding}` (None)"]


@pytest.mark.parametrize(
    ("body", "hint"),
    [
        ('{"text": "{{ event.name }}"}', "write it as YAML: {text: ..}"),
        ("{'text': {{ event.name | json }}}", "write it as YAML: {text: ..}"),
        ('  {\n  "a": {{ event.properties }}\n}\n', "write it as YAML: {a: ..}"),
        ('[{"a": 1}, {{ event.properties }}]', "write it as YAML: [..]"),
        ('{% if event.id %}{"a": 1}{% else %}{"a": 2}{% endif %}', "write it as YAML: {a: ..}"),
        ('{% for p in event.properties.products %}{"a": {{ p.id }}}{% endfor %}', "{a: ..}"),
        ('{"k": "${TOK}"}', "write it as YAML: {k: ..}"),
        ("{}", "write it as YAML: {..}"),
        ('{"a":{{ event.properties.x }}}', "write it as YAML: {a: ..}"),
    ],
)
def test_a_text_that_looks_like_json_is_refused_as_a_json_body(body: str, hint: str) -> None:
    (found,) = mistakes({"body": body}, secrets=SECRETS)
    assert found.startswith("json-text: the body is one text that looks like JSON")
    assert hint in found
    assert "`encoding: text`" in found
    as_text = mistakes({"body": body, "encoding": "text"}, secrets=SECRETS)
    assert not any("looks like JSON" in one for one in as_text)


@pytest.mark.parametrize(
    "body",
    [
        "{{ event.properties }}",
        "{{ event.name }} bought {{ event.properties.x }}",
        "hello {you}",
        "[{{ event.time }}] {{ event.name }}",
        {"payload": '{"a": "{{ event.time }}"}'},
        ['{"a": 1}'],
        "{% if event.id %}a{% endif %}",
        "{{ event.properties.a }}{{ event.properties.b }}",
        '"quoted"',
    ],
)
def test_other_bodies_are_no_json_texts(body: Any) -> None:
    assert mistakes({"body": body}) == []


@pytest.mark.parametrize("body", ["{{ event.properties | json }}", " {{- event | pick: 'id' | json -}}\n"])
def test_a_body_that_is_json_in_a_string_is_a_warning(body: str) -> None:
    (found,) = mistakes({"body": body})
    assert found.startswith("json-text: the body is JSON inside of a JSON string (leave out `| json`")
    assert mistakes({"body": body, "encoding": "text"}) == []
    assert mistakes({"body": {"text": body}}) == []


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters=CONTROLS)), min_size=2))
def test_a_csv_line_is_read_back_as_the_values_that_went_in(values: list[str]) -> None:
    properties = {f"v{number}": value for number, value in enumerate(values)}
    line = ",".join(f"{{{{ event.properties.{name} | csv_escape }}}}" for name in properties)
    made = rendered({"encoding": "text", "body": line}, event(properties=properties)).body.decode()
    assert next(csv.reader(io.StringIO(made, newline=""))) == values


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"], exclude_characters="\ufffe\uffff")))
def test_a_value_in_xml_is_read_back_as_it_went_in(value: str) -> None:
    body = "<a b='{{ event.properties.v | xml_escape }}'>{{ event.properties.v | xml_escape }}</a>"
    made = rendered({"encoding": "text", "body": body}, event(properties={"v": value})).body
    read = xml.fromstring(made.decode())
    assert (read.text or "", read.get("b")) == (value, value)
