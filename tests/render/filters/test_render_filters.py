"""Every filter does what its row in the table says; wrong input is an error, never a guess."""

from __future__ import annotations

import re
from typing import Any

import orjson
import pytest

from pipeline.model.errors import RenderError
from pipeline.render.filters.filter import Example, Filter
from pipeline.render.filters.table import FILTERS, reference
from tests.render.rendering import a_user, an_event, compiled, mistakes, rendered


def value_of(template: str, properties: dict[str, Any] | None = None, **options: Any) -> Any:
    """Return what one value of a body becomes."""
    request = rendered({"body": {"v": template}}, an_event(properties), a_user(), **options)
    return orjson.loads(request.body)["v"]


@pytest.mark.parametrize(
    ("filter_", "example"),
    [(filter_, example) for filter_ in FILTERS.values() for example in filter_.examples],
    ids=lambda one: one.name if isinstance(one, Filter) else one.call,
)
def test_a_filter_gives_what_its_example_says(filter_: Filter, example: Example) -> None:
    assert re.match(rf"{filter_.name}\b", example.call)
    got = value_of(f"{{{{ event.properties.x | {example.call} }}}}", {"x": example.value})
    assert (got, type(got)) == (example.result, type(example.result))


def test_the_reference_names_every_filter_once() -> None:
    rows = reference().splitlines()[2:]
    assert [row.split("`")[1] for row in rows] == sorted(FILTERS)


def test_every_deterministic_filter_of_liquid_is_there() -> None:
    from liquid import Environment

    assert set(Environment().filters) - set(FILTERS) == {"safe"}


@pytest.mark.parametrize("name", sorted(name for name, one in FILTERS.items() if not one.takes_missing))
@pytest.mark.parametrize("properties", [{}, {"x": None}], ids=["missing", "null"])
def test_missing_and_null_pass_through_a_filter(name: str, properties: dict[str, Any]) -> None:
    call = re.sub(r" \|.*", "", FILTERS[name].examples[0].call)
    template = f"{{{{ event.properties.x | {call.replace('event.properties.x', 'event.properties')} }}}}"
    request = rendered({"missing": "omit", "body": {"v": template}}, an_event(properties))
    assert request.body == (b'{"v":null}' if properties else b"{}")


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{{ event.properties.text | plus: 1 }}", "plus wants a number, not a text"),
        ("{{ event.properties.yes | times: 2 }}", "times wants a number, not a boolean"),
        ("{{ 1 | plus: event.properties.none }}", "plus wants a number, not null"),
        ("{{ event.properties.list | round }}", "round wants a number, not an array"),
        ("{{ event.properties.text | to_integer }}", "to_integer wants a number"),
        ("{{ event.properties.yes | to_integer }}", "not a boolean"),
        ("{{ event.properties.list | sum }}", "sum wants a number"),
        ("{{ event.properties.above | parse_json }}", "an integer has more than 64 bits"),
        ("{{ event.properties.below | parse_json }}", "an integer has more than 64 bits"),
        ("{{ event.properties.n | divided_by: event.properties.zero }}", "divided by 0"),
        ("{{ event.properties.n | modulo: event.properties.zero }}", "divided by 0"),
        ("{{ event.properties.folder | url_path }}", "no segment `.` or `..`"),
        ("{{ event.properties.max | times: event.properties.max }}", "more than 64 bits"),
        ("{{ event.properties.huge | times: 10 }}", "too large"),
        ("{{ event.properties.digits | to_number }}", "64 bits"),
        ("{{ event.properties.exponent | to_number }}", "too large"),
        ("{{ event.properties.latin | url_decode }}", "url_decode wants UTF-8"),
        ("{{ event.properties.text | date: '%Y' }}", "date: 'word' is no time"),
        ("{{ event.properties.yes | date: '%Y' }}", "date: a boolean is no time"),
        ("{{ event.time | date: '%Y', event.properties.text }}", "no time zone"),
        ("{{ event.time | date: '%Y', event.properties.folder }}", "no time zone"),
        ("{{ event.time | date: '%Y', event.properties.n }}", "the name of a time zone"),
        ("{{ event.properties.text | map: 'a' }}", "map wants objects"),
        ("{{ event.properties.list | sort }}", "compare"),
        ("{{ event.properties.text | merge: event.properties }}", "merge wants an object"),
        ("{{ event.properties | merge: event.properties.text }}", "merge wants an object"),
        ("{{ event.properties.list | concat: event.properties.text }}", "concat wants an array"),
        ("{{ event.properties.text | parse_json }}", "parse_json"),
        ("{{ event.properties.nan | parse_json }}", "parse_json"),
        ("{{ event.properties.text | base64_decode }}", "base64"),
        ("{{ event.properties.text | truncate: event.properties.text }}", "truncate wants a number"),
        ("{{ event.properties.text | hmac_sha256: event.properties.gone }}", "wants a key"),
        ("{{ event.properties.gone | require }}", "required value is missing"),
        ("{{ event.properties.none | require }}", "required value is missing"),
        ("{{ event.properties.half | sha256 }}", "surrogate"),
        ("{{ event.properties.half | json | append: event.properties.half }}", "surrogate"),
        ("{{ event.properties.n | round: event.properties.max }}", "between -20 and 20"),
        ("{{ event.properties.n | format_number: event.properties.max }}", "between 0 and 20"),
        ("{{ event.properties.n | json: 99 }}", "between 0 and 8"),
        ("{{ event.properties.n | parse_json }}", "parse_json wants a text"),
        ("{{ event.properties.n | slice: event.properties.part }}", "a whole number"),
        ("{{ event.properties.n | pick: 'a' }}", "pick wants an object"),
        ("{{ event.properties.list | map: 'a' }}", "map wants objects"),
        ("{{ 'a' if event.properties.n contains 1 else 'b' }}", "a number contains nothing"),
        ("{{ event.properties.half | url_encode }}", "surrogate"),
        ("{{ event.properties.half }}", "surrogate"),
        ("{{ 'a' if event.properties.text > 5 else 'b' }}", 'a text and a number have no order: "word"'),
    ],
)
def test_what_fails_for_one_event_is_a_dead_letter_that_says_why(template: str, reason: str) -> None:
    event = an_event(
        {
            "text": "word",
            "folder": "../../etc/passwd",
            "part": 1.5,
            "yes": True,
            "none": None,
            "list": [1, "a"],
            "n": 7,
            "zero": 0,
            "max": 1 << 63,
            "huge": 1e308,
            "digits": "9" * 30,
            "exponent": "1e400",
            "nan": "[NaN]",
            "half": "a\ud800",
            "latin": "caf%E9",
            "above": '["1", 18446744073709551616]',
            "below": '{"a": -9223372036854775809}',
        }
    )
    with pytest.raises(RenderError) as caught:
        rendered({"body": {"v": template}}, event)
    message = str(caught.value)
    assert reason in message
    assert "webhooks/w.yaml" in message
    assert "request.body" in message


def test_the_value_in_a_reason_is_cut() -> None:
    with pytest.raises(RenderError) as caught:
        rendered({"body": {"v": "{{ event.properties.x | plus: 1 }}"}}, an_event({"x": "long " * 1000}))
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("template", "properties", "wanted"),
    [
        ("{{ event.properties.x }}", {"x": 9223372036854775807}, 9223372036854775807),
        ("{{ event.properties.x | plus: 1 }}", {"x": 9007199254740993}, 9007199254740994),
        ("{{ event.properties.x | plus: 1 }}", {"x": "1795445400"}, 1795445401),
        ("{{ event.properties.x | to_integer }}", {"x": "9007199254740993.5"}, 9007199254740993),
        ("{{ event.properties.x | to_integer }}", {"x": " -12.9e1 "}, -129),
        ("{{ event.properties.x | to_integer }}", {"x": "18446744073709551615.0"}, 18446744073709551615),
        ("{{ event.properties.x | parse_json }}", {"x": "[18446744073709551615]"}, [18446744073709551615]),
        ("{{ event.properties.x | parse_json }}", {"x": "[-9223372036854775808]"}, [-9223372036854775808]),
        (
            "{{ event.properties.x | parse_json }}",
            {"x": '["18446744073709551616", 1e30]'},
            ["18446744073709551616", 1e30],
        ),
        ("{{ event.properties.x | round }}", {"x": 0.5}, 1),
        ("{{ event.properties.x | round }}", {"x": 1.5}, 2),
        ("{{ event.properties.x | round: 2 }}", {"x": 3}, 3.0),
        ("{{ event.properties.x | round: 2 }}", {"x": 2.675}, 2.68),
        ("{{ event.properties.x | divided_by: 2 }}", {"x": -7}, -4),
        ("{{ event.properties.x | times: 100 | round }}", {"x": 1534.7}, 153470),
        ("{{ event.properties.x | times: 1.1 }}", {"x": 3}, 3.3),
        ("{{ event.properties.x | format_number: 0 }}", {"x": 0.5}, "1"),
        ("{{ event.properties.x | format_number: 2 }}", {"x": "1234.5"}, "1,234.50"),
        ("{{ event.properties.x | sort_natural | first }}", {"x": ["b", "A", None]}, "A"),
        ("{{ event.properties.x | uniq | size }}", {"x": [1, True, "1", 1]}, 3),
        ("{{ event.properties.x | where: 'on', true | size }}", {"x": [{"on": 1}, {"on": True}]}, 1),
        ("{{ event.properties.x | where: 'a', user.properties.nope | size }}", {"x": [{"a": 1}]}, 0),
        ("{{ event.properties.x | reject: 'a', user.properties.nope | size }}", {"x": [{"a": 1}]}, 1),
        ("{{ event.properties.x | find: 'a', event.properties.y }}", {"x": [{"a": 1}], "y": None}, None),
        ("{{ event.properties.x | compact | size }}", {}, 0),
        ("{{ event.properties.x | compact: 'a' | size }}", {"x": [{"a": 1}, {}, {"a": None}, None]}, 1),
        ("{{ event.properties.x | uniq: 'a' | size }}", {"x": [{"a": 1}, {"a": 1, "b": 2}, {}]}, 2),
        ("{{ event.properties.x | first | join: '=' }}", {"x": {"a": 1}}, "a=1"),
        ("{{ event.properties.x | slice: -5, 2 }}", {"x": "abc"}, ""),
        (
            "{{ event.properties.x | strip_html }}",
            {"x": "a <b>&amp;&#39;</b><style>x</style>"},
            "a &amp;&#39;",
        ),
        ("{{ event.properties.x | flatten }}", {"x": {"a": {}, "b": {"c": []}}}, {"a": {}, "b_c": []}),
        ("{{ event.properties.x | minus: 4 }}", {"x": 9007199254740997}, 9007199254740993),
        ("{{ event.properties.x | plus: -4 }}", {"x": 9007199254740997}, 9007199254740993),
        ("{{ event.properties.x | modulo: 2.5 }}", {"x": 7}, 2.0),
        ("{{ event.properties.x | modulo: -2.5 }}", {"x": 7}, -0.5),
        ("{{ event.properties.x | modulo: 3 }}", {"x": -7.5}, 1.5),
        ("{{ event.properties.x | modulo: -3 }}", {"x": -7.5}, -1.5),
        ("{{ event.properties.x | modulo: 3 }}", {"x": -6.0}, 0.0),
        ("{{ event.properties.x | modulo: event.properties.y }}", {"x": -1.7e308, "y": 5e-324}, 0.0),
        ("{{ event.properties.x | modulo: event.properties.y }}", {"x": 1e308, "y": 3e-324}, 0.0),
        (
            "{{ event.properties.x | without: event.properties.y | size }}",
            {"x": {"a": 1, "b": 2}, "y": ["a"]},
            1,
        ),
        ("{{ event.properties.x | json }}", {}, "null"),
        ("{{ event.properties.x | json: 2 }}", {"x": {"a": "ü"}}, '{\n  "a": "ü"\n}'),
        ("{{ 'now' | date: '%Y-%m-%d %H:%M:%S.%L' }}", {}, "2026-11-23 14:50:00.123"),
        ("{{ 'today' | date: '%F' }}", {}, "2026-11-23"),
        ("{{ event.properties.x | default: false, allow_false: true }}", {"x": False}, False),
        ("{{ event.properties.x | default: event.properties.y | default: 'z' }}", {"x": "", "y": []}, "z"),
        ("{{ event.properties.x | split: '' | last }}", {"x": "a👍"}, "👍"),
        ("{{ event.properties.x | slice: 1 }}", {"x": "a👍b"}, "👍"),
        ("{{ event.properties.x | replace_last: 'a', 'b' }}", {"x": "cc"}, "cc"),
        ("{{ event.properties.x | replace_last: 'c', 'b' }}", {"x": "ca"}, "ba"),
        ("{{ event.properties.x | truncate: 2 }}", {"x": "abcd"}, "..."),
        ("{{ event.properties.x | truncatewords: 0 }}", {"x": "a b"}, "a..."),
        ("{{ event.properties.x | size }}", {"x": 5}, 0),
    ],
)
def test_numbers_times_and_texts_come_out_exactly(
    template: str, properties: dict[str, Any], wanted: Any
) -> None:
    got = value_of(template, properties)
    assert (got, type(got)) == (wanted, type(wanted))


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ event.id | upcas }}", "did you mean `upcase`?"),
        ("{{ event.id | upper }}", "did you mean `upcase`?"),
        ("{{ event.id | Length }}", "did you mean `size`?"),
        ("{{ event.id | random }}", "there is no filter `random`"),
        ("{{ event.id | append }}", "`append` takes 1 argument, not 0"),
        ("{{ event.id | upcase: 1 }}", "`upcase` takes no arguments, not 1"),
        ("{{ event.id | default: 1, allow_flase: true }}", "did you mean `allow_false`?"),
        ("{{ 'a' | times: 2 }}", "times wants a number"),
        ("{{ 1 | divided_by: 0 }}", "divided by 0"),
        (
            "{{ event.time | date: '%Y', 'Europe/Berln' }}",
            "it would fail for every event: there is no time zone",
        ),
        ("{{ event.time | date: '%Y', 'Europe/Berln' }}", "did you mean `Europe/Berlin`?"),
        ("{{ event.time | date: '%Y', '-05:00' }}", "a fixed offset is `Etc/GMT+5`"),
        ("{{ event.properties.x | divided_by: 0 }}", "it would fail for every event: divided_by"),
        ("{{ event.properties.x | plus: 'a' }}", "plus wants a number, not a text"),
        ("{{ event.properties.x | round: 400 }}", "between -20 and 20 digits"),
        ("{{ event.properties.x | truncate: '5x' }}", "truncate wants a number"),
        ("{{ event.properties | merge: 'a' }}", "merge wants an object"),
        ("{% if event.id %}{{ event.properties.x | slice: 'a' }}{% endif %}", "slice wants a number"),
    ],
)
def test_a_filter_used_wrongly_is_an_error_at_load(template: str, message: str) -> None:
    (found,) = mistakes({"body": {"v": template}})
    assert found.startswith("template-syntax")
    assert message in found


def test_a_stored_version_keeps_a_filter_that_fails_for_every_event() -> None:
    body = {"body": {"v": "{{ event.properties.x | divided_by: 0 }}"}}
    assert compiled(body)[1].errors == 1
    assert compiled(body, stored=True)[1].errors == 0


@pytest.mark.parametrize("filter_", FILTERS.values(), ids=lambda one: one.name)
def test_arguments_that_fit_some_value_are_taken(filter_: Filter) -> None:
    """Those of the examples, of course; and any key, whatever the elements of the examples have."""
    for example in filter_.examples:
        _, problems = compiled({"body": {"v": f"{{{{ event.properties.other | {example.call} }}}}"}})
        assert not problems.errors, problems.found
    if filter_.most == 1 and type(filter_.examples[0].value) is list and filter_.name != "concat":
        for key in ("id", "new", "none"):
            assert not mistakes(
                {"body": {"v": f"{{{{ event.properties.other | {filter_.name}: '{key}' }}}}"}}
            )


@pytest.mark.parametrize(
    ("template", "hint"),
    [
        ("{{ event.properties.x | default: true }}", "allow_false: true"),
        ("{{ event.properties.x | divided_by: 2 }}", "divided_by: 2.0"),
        ("{{ event.properties.x | default: true, allow_false: true | divided_by: 2.0 }}", None),
        ("{{ event.time | date: 'DD/MM/YYYY HH:mm' }}", "write `%d/%m/%Y %H:%M`"),
        ("{{ event.time | date: 'long' }}", "such as `%Y-%m-%d %H:%M`"),
        ("{{ event.time | date: '%Y-%i' }}", "such as `%Y-%m-%d %H:%M`"),
        ("{{ event.time | date: '%-d.%m.%Y, %H:%M %:z' }}", None),
    ],
)
def test_what_is_probably_not_meant_is_a_warning(template: str, hint: str | None) -> None:
    _, problems = compiled({"body": {"v": template}})
    assert not problems.errors
    found = [str(problem.hint) for problem in problems.found]
    assert [hint in one for one in found if hint] == [True] * len(found) == ([True] if hint else [])
