"""Templates cannot reach the process, and neither templates nor data can make them run away."""

from __future__ import annotations

import time
from typing import Any

import orjson
import pytest

from pipeline.model.errors import RenderError
from tests.hostile.bombs.run import calibrate
from tests.render.rendering import a_user, an_event, mistakes, rendered

DUNDERS = (
    "__class__",
    "__init__",
    "__globals__",
    "__subclasses__",
    "__dict__",
    "__liquid__",
    "__html__",
    "keys",
)


def value_of(template: str, properties: dict[str, Any] | None = None) -> Any:
    return orjson.loads(rendered({"body": {"v": template}}, an_event(properties), a_user()).body)["v"]


@pytest.mark.parametrize("name", DUNDERS)
def test_a_path_reaches_data_only(name: str) -> None:
    for template in (
        f"{{{{ event.properties.{name} }}}}",
        f"{{{{ event.properties['{name}'] }}}}",
        f"{{{{ event.properties.x.{name} | default: nil }}}}",
        f"{{{{ user.properties.{name} }}}}",
        "{{ event.properties[event.properties.name] }}",
        f"{{% assign a = event.properties %}}{{{{ a.{name} }}}}",
    ):
        assert value_of(template, {"x": {}, "name": name}) in (None, "", name and None)


@pytest.mark.parametrize("name", DUNDERS)
def test_filters_that_take_names_reach_data_only(name: str) -> None:
    data = {"x": [{"a": 1}, {}]}
    assert value_of(f"{{{{ event.properties.x | map: '{name}' }}}}", data) == [None, None]
    assert value_of(f"{{{{ event.properties.x | where: '{name}' }}}}", data) == []
    assert value_of(f"{{{{ event.properties.x | sort: '{name}' | size }}}}", data) == 2
    assert value_of(f"{{{{ event.properties.x | sum: '{name}' }}}}", data) == 0
    assert value_of(f"{{{{ event.properties | pick: '{name}' }}}}", data) == {}


@pytest.mark.parametrize(
    "template",
    [
        "{{ self }}",
        "{{ request }}",
        "{{ config.items }}",
        "{{ event.__class__ }}",
        "{{ event.origin }}",
        "{{ event.elements }}",
        "{{ user.__class__.__mro__ }}",
        "{{ event['__class__'] }}",
        "{{ ''.__class__ }}",
        "{{ [].__class__ }}",
        "{{ ().__class__ }}",
        "{{ event.id.__class__ }}",
        "{{ forloop }}",
        "{% include '/etc/passwd' %}",
        "{% render '/etc/passwd' %}",
        "{% layout 'x' %}",
        "{% extends 'x' %}",
        "{% macro x %}{% endmacro %}",
        "{% python %}import os{% endpython %}",
        "{{ 'x' | eval }}",
        "{{ 'x' | include: 'y' }}",
        "{{ \x00 }}",
        "{{ event.properties.x | map: __class__ }}",
    ],
)
def test_what_is_not_data_is_an_error_at_load(template: str) -> None:
    assert mistakes({"body": {"v": template}})


SEED: dict[str, Any] = {"numbers": [0.5] * 90_000, "s": "x" * 1000, "l": ["y" * 1000] * 100, "n": 9999999}


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{% for i in (1..9999999) %}x{% endfor %}", None),
        ("{{ (1..9999999) | join }}", None),
        ("{{ (1..P.n) | size }}", "a range has more than"),
        ("{% for i in (1..P.n) %}x{% endfor %}", "a range has more than"),
        ("{% for a in (1..1000) %}{% for b in (1..1000) %}{% endfor %}{% endfor %}", "loops turn more than"),
        (
            "{% for a in (1..200) %}{% for b in (1..200) %}{% assign x = b %}{% endfor %}{% endfor %}",
            "turn more than",
        ),
        ("{% for i in (1..9000) %}{{ P.s }}{% endfor %}", "output is larger than"),
        (
            "{% assign s = 'x' %}{% for i in (1..100) %}{% assign s = s | append: s %}{% endfor %}",
            "larger than 1 MiB",
        ),
        (
            "{% assign s = 'xx' %}{% for i in (1..100) %}{% assign s = s | replace: 'x', s %}{% endfor %}",
            "larger than 1 MiB",
        ),
        (
            "{% assign l = P.l %}{% for i in (1..60) %}{% assign l = l | concat: l %}{% endfor %}{{ l }}",
            "larger than 1 MiB",
        ),
        ("{{ P.l" + " | split: 'z'" * 16 + " | size }}", "larger than 1 MiB"),
        ("{% for i in (1..9000) %}{% assign s = P.l | join: P.s %}{% endfor %}", "work on more than"),
        ("{{ P.s | replace: '', P.s | replace: '', P.s }}", "1 MiB"),
        ("{{ P.s | replace: '', P.s | replace: 'x', P.s }}", "1 MiB"),
        ("{{ P.s | split: '' | join: P.s | split: '' | size }}", "more than 100,000 elements"),
        (
            "{% assign n = 3 %}{% for i in (1..9999) %}{% assign n = n | times: n %}{% endfor %}{{ n }}",
            "more than 64 bits",
        ),
        ("{% for i in (1..9999) %}{{ P.l | sort | uniq | reverse | size }}{% endfor %}", "too-expensive"),
        ("{% for i in (1..9999) %}{% assign n = P.numbers | sum %}{% endfor %}", "too-expensive"),
        ("{% for i in (1..9999) %}{% if P.numbers contains 1 %}{% endif %}{% endfor %}", "too-expensive"),
        ("{% for i in (1..9999) %}" + "{{ P.gone }}" * 2000 + "{% endfor %}", "more than 1,000,000"),
        (
            "{% for i in (1..9999) %}{% capture c %}{{ c }}{{ c }}x{% endcapture %}{% endfor %}",
            "output is larger than",
        ),
    ],
)
def test_a_template_that_runs_away_is_stopped_soon(template: str, reason: str | None) -> None:
    template = template.replace("P.", "event.properties.")
    start = time.process_time()
    if reason is None:
        assert mistakes({"body": {"v": template}})
    else:
        with pytest.raises(RenderError, match=reason):
            value_of(template, SEED)
    assert time.process_time() - start < 3


def test_text_that_parsers_choke_on_is_refused_or_read_quickly() -> None:
    start = time.process_time()
    for text in (
        "{{ " + "(" * 2000 + "1" + ")" * 2000 + " }}",
        "{% if " + "not " * 2000 + "event.id %}x{% endif %}",
        "{% if event.id %}" * 500 + "{% endif %}" * 500,
        "{{ " + "event.properties[" * 500 + "event.id" + "]" * 500 + " }}",
        "{{ event.id " + "| upcase " * 2000 + "}}",
        "{{" * 20_000,
        "{% raw %}" * 20_000,
        "{% doc %}" * 20_000,
        "{% comment %}" * 5_000,
        "{% if event.id " + " " * 60_000,
        "{{ event.id" + " " * 60_000 + "}}",
        "{%" * 20_000,
        "${" * 20_000,
        "{{ 'a" * 5_000,
        "{{ event.id | default: " + "'x', " * 5_000 + " }}",
    ):
        mistakes({"body": {"v": text}, "headers": {"X": text}, "url": text})
    assert time.process_time() - start < 20


def test_data_that_parsers_choke_on_is_dead_lettered_or_rendered_quickly() -> None:
    start = time.process_time()
    deep: Any = 1
    for _ in range(3000):
        deep = {"a": [deep]}
    data = {
        "deep": deep,
        "markup": "<!" * 500_000,
        "tags": "<a " * 500_000,
        "spaces": " " * 1_000_000 + "x",
        "json": "[" * 500_000,
        "base64": "A" * 1_000_001,
        "entities": "&#" * 300_000,
        "percent": "%" * 500_000,
    }
    for template in (
        "{{ event.properties.deep }}",
        "x {{ event.properties.deep }}",
        "{{ event.properties.deep | json }}",
        "{{ event.properties.deep | flatten }}",
        "{{ event.properties.deep | to_string | sha256 }}",
        "{{ event.properties.markup | strip_html }}",
        "{{ event.properties.tags | strip_html }}",
        "{{ event.properties.spaces | squish | strip | truncatewords: 3 }}",
        "{{ event.properties.json | parse_json }}",
        "{{ event.properties.base64 | base64_decode }}",
        "{{ event.properties.entities | escape_once }}",
        "{{ event.properties.percent | url_decode | url_encode }}",
    ):
        try:
            value_of(template, data)
        except RenderError:
            pass  # a dead letter is right too
    assert time.process_time() - start < 10


@pytest.mark.parametrize(
    "body",
    [
        {f"x{number}": "{{ event.properties.a }}" for number in range(100)},
        [["{{ event.properties.a }}"]] * 100,
        {f"x{number}": {"y": "{{ event.properties['a'] }}"} for number in range(100)},
        {f"x{number}": "a {{ event.properties.a }}" for number in range(100)},
        "{{ event.properties.a }} {{ event.properties.b }} " * 100,
    ],
)
def test_one_list_in_a_hundred_places_is_given_up_before_all_of_it_is_printed(body: Any) -> None:
    large = an_event({"a": [1.25] * 150_000})
    start = time.thread_time()
    with pytest.raises(RenderError, match=r"the body is larger than 16 MiB|too-expensive: "):
        rendered({"body": body}, large)
    assert time.thread_time() - start < 5 * calibrate(), "printed it takes more than ten"
    assert len(rendered({"body": body}, an_event({"a": [1.25, {"b": "x"}] * 50})).body) > 100 * 400


@pytest.mark.parametrize(
    "text",
    [
        "a {{ event.properties.a }}",
        "{{ event.properties.a }}{{ event.properties.b }}",
        "{{ event.properties.a | upcase }}!",
        "{% if true %}{{ event.properties.a }}{% endif %}",
    ],
)
def test_one_long_text_in_a_hundred_places_is_given_up_before_all_of_it_is_made(text: str) -> None:
    large = an_event({"a": "x" * 900_000, "b": "y"})
    for body in ({f"x{number}": text for number in range(100)}, text * 100):
        with pytest.raises(RenderError, match=r"too-expensive: |the template's output is larger than 1 MiB"):
            rendered({"body": body}, large)
    assert len(rendered({"body": {"x": text}}, large).body) > 900_000
