"""Templates: types, text, tags, names, and mistakes with their place."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from pipeline.model.errors import RenderError
from tests.render.rendering import a_user, an_event, compiled, mistakes, read_request, rendered

PROPERTIES = {
    "text": "a",
    "n": 7,
    "f": 1.5,
    "yes": True,
    "none": None,
    "list": [1, "b", None],
    "object": {"a": 1, "null": 2},
    "size": "XL",
    "first": "F",
    "null": 7,
    "$browser": "Chrome",
    "Sales Rep": "Zoe",
    "a.b": 1,
    "a-b": 2,
    "key": "plan",
    "products": [{"id": "p1", "price": 10.5}, {"id": "p2", "price": 3}],
}
USER = {"name": "Ann", "plan": "pro", "empty": ""}


def value_of(template: str, **options: Any) -> Any:
    """Return what one value of a body becomes; `P.` are the event's properties."""
    template = template.replace("P.", "event.properties.")
    request = rendered({"body": {"v": template}}, an_event(PROPERTIES), a_user(USER), **options)
    return orjson.loads(request.body)["v"]


@pytest.mark.parametrize(
    ("template", "wanted"),
    [
        ("{{ event.properties.n }}", 7),
        ("{{event.properties.f}}\n\n", 1.5),
        ("{{ event.properties.yes }}", True),
        ("{{ event.properties.none }}", None),
        ("{{ event.properties.gone }}", None),
        ("{{ event.properties.list }}", [1, "b", None]),
        ("{{ event.properties.object }}\n", {"a": 1, "null": 2}),
        ("{{ event.properties.n | plus: 1 }}\n", 8),
        ("{{- event.properties.n -}}", 7),
        ("{{ 5 }}", 5),
        ("{{ 'a' }}", "a"),
        ("{{ true }}", True),
        ("{{ nil }}", None),
        ("{{ (1..3) }}", [1, 2, 3]),
        ("{{ vars.owners[user.properties.plan] | default: 599 }}", 502),
        ("{{ vars.owners[event.properties.text] | default: 599 }}", 599),
        ("{{ event.properties.object[event.properties.text] }}", 1),
        ("{{ event.time }}", "2026-11-23T14:50:00.123Z"),
    ],
)
def test_one_expression_keeps_its_type(template: str, wanted: Any) -> None:
    got = value_of(template, vars={"owners": {"pro": 502}})
    assert (got, type(got)) == (wanted, type(wanted))


@pytest.mark.parametrize(
    ("template", "wanted"),
    [
        (" {{ P.n }}", " 7"),
        ("{{ P.n }} ", "7 "),
        ("{{ P.n }}{{ P.n }}", "77"),
        ("x{{ P.yes }}", "xtrue"),
        ("x{{ P.f }}", "x1.5"),
        ("x{{ P.none }}{{ P.gone }}", "x"),
        ("x{{ P.list }}", 'x[1,"b",null]'),
        ("x{{ P.object | merge: user.properties | pick: 'a', 'plan' }}", 'x{"a":1,"plan":"pro"}'),
        ("spent ${{ P.n }}", "spent $7"),
        ("$${NOT_A_SECRET} {{ P.n }}", "${NOT_A_SECRET} 7"),
        ("$${{ P.n }}", "$$7"),
        ("{ {{ P.n }} }", "{ 7 }"),
        ("{{ P.n }}\n{{ P.n }}\n", "7\n7\n"),
        ("{% raw %}{{ x }}{% endraw %}", "{{ x }}"),
    ],
)
def test_with_text_around_it_is_a_string(template: str, wanted: str) -> None:
    assert value_of(template) == wanted


@pytest.mark.parametrize(
    ("template", "wanted"),
    [
        ("{{ P.size }}", "XL"),
        ("{{ P.first }}", "F"),
        ("{{ P.null }}", 7),
        ("{{ P.object.null }}", 2),
        ("{{ P.list.size }}", None),
        ("{{ P.$browser | upcase }}", "CHROME"),
        ("{{ event.properties['Sales Rep'] | upcase }}", "ZOE"),
        ('{{ event.properties["a.b"] | plus: 1 }}', 2),
        ("{{ P.a-b | plus: 1 }}", 3),
        ("{{ P.list[-2] | upcase }}", "B"),
        ("{{ P.products[1].id | upcase }}", "P2"),
        ("{{ P.__class__ }}", None),
        ("{{ P.text.__len__ }}", None),
    ],
)
def test_names_are_keys_and_nothing_else(template: str, wanted: Any) -> None:
    assert value_of(template) == wanted


@pytest.mark.parametrize(
    ("template", "wanted"),
    [
        ("{{ vars }}", ({"a": 1}, {"a": 2})),
        ("{{ vars[event.properties.text] }}", (1, 2)),
        ("{{ vars.a }}", (1, 2)),
        ("{{ P.list[vars.a] }}", ("b", None)),
        ("{{ P.list[vars[event.properties.text]] }}", ("b", None)),
    ],
)
def test_the_same_template_reads_the_vars_of_its_own_webhook(
    template: str, wanted: tuple[object, object]
) -> None:
    assert (value_of(template, vars={"a": 1}), value_of(template, vars={"a": 2})) == wanted


@pytest.mark.parametrize(
    ("template", "wanted"),
    [
        ("{{ 'big' if P.n > 5 else 'small' }}", "big"),
        ("{{ 'big' if P.n > 7 }}", None),
        ("{{ 'big' | upcase if P.n >= 7 else 'small' }}", "BIG"),
        ("{{ 'a' if P.gone else 'b' | upcase || append: '!' }}", "B!"),
        ("{{ 'a' if P.n > 5 and P.text == 'b' or true }}", "a"),
        ("{{ 'a' if not (P.yes and P.none) else 'b' }}", "a"),
        ("{{ 'a' if P.gone > 5 else 'b' }}", "b"),
        ("{{ 'a' if P.yes == 1 else 'b' }}", "b"),
        ("{{ 'a' if P.list contains 'b' else 'c' }}", "a"),
        ("{{ 'a' if P.size contains 'X' else 'c' }}", "a"),
        ("{{ 'a' if P.gone == nil else 'b' }}", "a"),
        ("{{ 'a' if user.properties.empty == empty else 'b' }}", "a"),
        ("{{ 'a' if P.gone == blank else 'b' }}", "a"),
        ("{{ 'a' if blank == P.list else 'b' }}", "b"),
        ("{{ 'a' if '  ' == blank and empty == '' and empty != 'x' else 'b' }}", "a"),
        ("{{ 'a' if P.object contains 'null' else 'c' }}", "a"),
        ("{{ 'a' if P.gone contains 'x' else 'c' }}", "c"),
        ("{{ 'a' if 'b' >= 'a' and 1 <= 1.0 and 2 > 1 and 1 != true else 'c' }}", "a"),
        ("{{ empty }}", ""),
        ("{{ 'a' if (1..3) contains 2 else 'c' }}", "a"),
        ("{% if P.n == 7 %}seven{% elsif P.n == 8 %}eight{% else %}?{% endif %}", "seven"),
        ("{% unless P.yes %}no{% else %}yes{% endunless %}", "yes"),
        ("{% case P.text %}{% when 'b', 'c' %}1{% when 'a' or 'd' %}2{% else %}3{% endcase %}", "2"),
        (
            "{% for p in P.products %}{{ p.id }}{% unless forloop.last %}, {% endunless %}{% endfor %}",
            "p1, p2",
        ),
        ("{% for p in P.products reversed limit:1 offset:1 %}{{ p.id }}{% endfor %}", "p2"),
        (
            "{% for i in (1..4) %}{% if i == 2 %}{% continue %}{% endif %}{% if i == 4 %}"
            "{% break %}{% endif %}{{ i }}{% endfor %}",
            "13",
        ),
        ("{% for x in P.gone %}{{ x }}{% else %}none{% endfor %}", "none"),
        ("{% for pair in P.object %}{{ pair[0] }}={{ pair[1] }};{% endfor %}", "a=1;null=2;"),
        ("{% assign n = P.n | plus: 1 %}{{ n }}{{ n }}", "88"),
        ("{% capture c %}<{{ P.text }}>{% endcapture %}{{ c | upcase }}", "<A>"),
        (
            "{% for i in (1..2) %}{% for j in (1..2) %}"
            "{{ forloop.parentloop.index }}{{ j }} {% endfor %}{% endfor %}",
            "11 12 21 22 ",
        ),
        ("{% comment %} {{ nothing | really }} {% endcomment %}x{% # a note %}", "x"),
        ("{% if P.yes -%}  x  {%- endif %}", "x"),
        ("{% echo P.n | plus: 1 %}!", "8!"),
    ],
)
def test_conditions_and_loops_inside_one_value(template: str, wanted: Any) -> None:
    assert value_of(template) == wanted


@pytest.mark.parametrize(
    ("template", "at", "message"),
    [
        ("{{ evnt.name }}", 3, "did you mean `event.name`?"),
        ("x {{ event.naem | upcase }}", 11, "did you mean `event.name`?"),
        ("{{ item.id }}", 3, "`item` is not known here"),
        ("{{ vars.ownrs }}", 8, "did you mean `vars.owners`?"),
        ("{{ event.properties.list[*] }}", 24, "`[*]` works in conditions only"),
        ("{{ event.id ", 0, "is not closed"),
        ("{% %}", 0, "the tag is empty"),
        ("a {% if event.id %}b", 20, "`endif` is missing"),
        ("{% include 'x' %}", 3, "there is no tag `include`"),
        ("{% render 'x' %}", 3, "there is no tag `render`"),
        ("{% cycle 'a', 'b' %}", 3, "there is no tag `cycle`"),
        ("{% tablerow x in y %}{% endtablerow %}", 3, "there is no tag `tablerow`"),
        ("{% increment x %}", 3, "there is no tag `increment`"),
        ("{% endif %}", 3, "outside of its block"),
        ("{{ event.id | }}", 13, "a filter's name is expected"),
        ("{{ event.id == 1 }}", 12, "a comparison stands in"),
        ("{{ event.id + 1 }}", 12, "| plus: 1"),
        ("{{ 'a }}", 3, "is not closed"),
        ("{{ }}", 0, "empty"),
        ("{% assign event = 1 %}", 10, "it is a root"),
        ("{{ event.id | default: '${TOK}' }}", 24, "a secret cannot be used inside an expression"),
        ("{{ ${TOK} }}", 3, "a secret cannot be used inside an expression"),
        ("{% capture x %}${TOK}{% endcapture %}", 15, "a secret cannot be captured"),
        ("{% for x in event.properties.a offset: continue %}{% endfor %}", 39, "not supported"),
        ("{{ now }}", 3, "the event's time is `event.time`"),
        ("{{ event.properties.a -1 }}", 22, "write `| plus: 1`"),
        ("{{ event.properties.a - 1 }}", 22, "write `| plus: 1`"),
        ("{{ 'a' + event.id }}", 7, "for texts `| append: 'x'`"),
        ("{% if event.name == pro %}x{% endif %}", 20, "a text stands in quotes: 'pro'"),
        ("{{ env.API_KEY }}", 3, "write `${API_KEY}` in the place of `{{ env.API_KEY }}`"),
        ("{{ TOKEN | upcase }}", 3, "write `${TOKEN}`"),
        ("{{ event.id | default 'a' }}", 22, "write `| default: 'a'`"),
        ("{{ event.id | append('x y') }}", 20, "write `| append: 'x y'`"),
        ("{{ event.id | default: 'a' 'b' }}", 27, "a comma is missing before `b`"),
        ("{{ event.id || 'a' }}", 12, "write `| default: 'a'`"),
        ("{{ event.id ?? event.name }}", 12, "write `| default: event.name`"),
        ("{{ event.id or 5 }}", 12, "write `| default: 5`"),
        ("{{ event.id ? 'a' : 'b' }}", 12, "write `'a' if x > 5 else 'b'`"),
        ("{{ event.name.toUpperCase() }}", 25, "there are no methods"),
        ("{{ event.properties.a.trim() }}", 26, "there are no methods"),
        ("{{ event.properties.Sales Rep | upcase }}", 26, 'brackets: event.properties["Sales Rep"]'),
        ("{{ event.properties.a b-c d }}", 22, 'brackets: event.properties["a b-c d"]'),
        ("{% if event.id = 'a' %}x{% endif %}", 15, "write `==`"),
        ("{% if event.id %}x{% end %}", 21, "close what is open, by `endif`"),
        ("{% set x = 1 %}", 3, "did you mean `assign`?"),
        ("{% if event.id %}a{% elseif event.name %}b{% endif %}", 21, "did you mean `elsif`?"),
        ("{{ event.id | money }}", 14, "did you mean `format_number`?"),
        ("{{ event.id | uri_escape }}", 14, "did you mean `url_encode`?"),
        ("{{ event.id | pluralize: 'a', 'b' }}", 14, "write `{{ 'item' if"),
        ("{{ event.time | date: '%F', tz: 'Asia/Tokyo' }}", 28, "leave out `tz:`"),
        ("{{ customer.email }}", 3, "did you mean `user.properties.email`?"),
        ("{% if event.id is defined %}x{% endif %}", 15, "write `x != nil`"),
        ("{% if event.id in ['a'] %}x{% endif %}", 18, "write `x == 'a' or x == 'b'`"),
        ("{% if event.id === 'a' %}x{% endif %}", 17, "two signs are enough"),
        ("{{ (1..'x') }}", 3, "a range wants a number"),
        ("{{ 99999999999999999999 }}", 3, "64 bits"),
        ("{{ event.properties[0 }}", 19, "not closed"),
        ("{{ [1] }}", 3, "a path starts with a root"),
        ("{{ event.id && event.name }}", 12, "write `and`"),
        ("{% if %}x{% endif %}", 3, "lacks its expression"),
        ("{% case event.id %}{% when 1, %}x{% endcase %}", 29, "a value is expected"),
        ("{% raw %}x", 0, "`endraw` is missing"),
        ("{% for x in event.properties.a cols: 2 %}{% endfor %}", 37, "`cols`"),
        ("{{ event.id | default: \u2018a\u2019 }}", 23, "straight quotes"),
        ("{{#if event.id}}a{{/if}}", 2, "`{% if x %}`"),
        ("{% if event.properties.a | size > 3 %}a{% endif %}", 25, "`{% assign x = .. %}` before it"),
        ("a ${1X} {{ event.id }}", 2, "no placeholder"),
        ("a ${TOK", 2, "not closed"),
    ],
)
def test_a_mistake_is_an_error_at_load_with_its_place(template: str, at: int, message: str) -> None:
    _, problems = compiled({"body": {"v": template}}, vars={"owners": {}})
    (found,) = problems.found
    assert message in f"{found.message} {found.hint}"
    assert (found.path, found.offset) == (("request", "body", "v"), at)


def test_a_dead_letter_names_the_line_of_the_template() -> None:
    template, _ = compiled(
        {"body": {"a": {"b": ["{{ event.id | plus: 1 }}"]}}},
        line_of=lambda path: 12 if path[-1] == 0 else None,
    )
    with pytest.raises(RenderError) as caught:
        template.render(an_event(), a_user())
    assert str(caught.value) == (
        'plus wants a number, not a text: "e1" '
        "(webhooks/w.yaml:12, request.body.a.b[0]: {{ event.id | plus: 1 }})"
    )


def test_paths_with_filters_do_not_load_the_template_engine() -> None:
    import subprocess
    import sys
    from pathlib import Path

    script = (
        "import sys; from tests.render.rendering import rendered\n"
        "rendered({'body': {'a': 'x {{ event.id }} {{ user.properties.y }}', 'b': '{{ event }}'}})\n"
        "print('liquid' in sys.modules)\n"
        "rendered({'body': {'a': '{{ event.id | upcase }}', 'b': 'x {{ event.id | default: 5 }}'}})\n"
        "print('liquid' in sys.modules)\n"
        "rendered({'body': '{% if event.id %}x{% endif %}'})\n"
        "print('liquid' in sys.modules)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.split() == ["False", "False", "True"]


def test_the_same_event_gives_the_same_text_whatever_the_clock_and_zone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import time

    template = "{{ 'now' | date: '%c %Z %s', 'Europe/Berlin' }}{{ event.time | date: '%c %z' }}"
    before = value_of(template)
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    monkeypatch.setattr(time, "time", lambda: 0.0)
    time.tzset()
    try:
        assert (
            value_of(template)
            == before
            == "Mon Nov 23 15:50:00 2026 CET 1795445400Mon Nov 23 14:50:00 2026 +0000"
        )
    finally:
        monkeypatch.undo()
        time.tzset()


def test_unknown_tags_and_filters_are_all_reported() -> None:
    found = mistakes({"body": {"a": "{{ x }}", "b": ["{{ event.id | nope }}"], "c": {"d": "{% foo %}"}}})
    assert len(found) == 3


@pytest.mark.parametrize(
    ("written", "here"),
    [
        ("{person.properties.name} paid", ["user.properties.name"]),
        ("{event.event}: {toFloat(event.properties.total)}", ["event.name", "event.properties.total"]),
        ("{event} {person} {person.name}", ["event", "user", "user.properties.name"]),
        ("$.properties.total", ["event.properties.total"]),
        ("$.context.traits.plan", ["user.properties.plan"]),
        ("$.userId", ["event.user_id"]),
        ("event.properties.total", ["event.properties.total"]),
        ("$user.properties.a[0].b", ["user.properties.a[0].b"]),
        ("user.before['a b']", ["user.before['a b']"]),
        ("event.properties", []),
        ("user.identified", []),
        ("event.properties.total is 5", []),
        ("event.created", []),
        ("{{ event.name }} {x} {user} $.x costs $.properties.total {% raw %}{{event.x}}{% endraw %}", []),
    ],
)
def test_a_template_of_another_product_is_a_warning_that_names_ours(written: str, here: list[str]) -> None:
    template, problems = read_request({"body": {"a": written}})
    assert template is not None
    found = [finding.hint for finding in problems.found]
    assert found == [f"write `{{{{ {path} }}}}` if the value is meant" for path in here]


def test_what_is_odd_in_the_path_of_a_url_is_shown_at_its_place() -> None:
    url = "https://h.example/a/{{ event.properties.ok | default: true }}"
    _, problems = compiled({"url": url, "body": {}})
    (found,) = problems.found
    assert (found.path, found.offset) == (("request", "url"), url.index("default"))


def test_a_template_of_another_product_is_shown_at_its_place() -> None:
    written = "a {person.name} {{{event.id}}} {{ event.properties.l.0 }}"
    _, problems = compiled({"body": {"v": written, "w": "$.userId ", "x": "event.properties.a"}})
    assert {(one.path[-1], one.offset, one.length) for one in problems.found} == {
        ("v", 2, len("{person.name}")),
        ("v", 16, len("{{{event.id}}}")),
        ("v", 34, len("event.properties.l.0")),
        ("w", 0, len("$.userId")),
        ("x", 0, len("event.properties.a")),
    }


@pytest.mark.parametrize(
    ("text", "warns"),
    [
        ("paid event.properties.a }}", True),
        ("{{ event.id }} by user.properties.name | upcase }}", True),
        ("{{ event.id | default: event.name }}", False),
        ("{{ 'a' if event.id else event.name }}", False),
        ("{a: {b: event}}", False),
    ],
)
def test_a_template_that_nothing_opens_is_a_warning(text: str, warns: bool) -> None:
    found = mistakes({"body": {"v": text}})
    assert ["nothing opens it" in one for one in found] == [True] * warns


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ('{"x": "{{ event.properties.a }}"}', "{{ event.properties.a | json }}"),
        (' ["{{ event.properties.a | default: 5 | json }}"]', "{{ event.properties.a | default: 5 | json }}"),
        ('{"x": {{ event.properties.a | json }}, "at": "{{ event.time }}"}', None),
        ('{"x": "{{ event.properties.a | sha256 }}", "n": "{{ event.properties.n | round: 2 }}"}', None),
        (
            '{% if user.id %}["{{ event.properties.a }}"]{% else %}[]{% endif %}',
            "{{ event.properties.a | json }}",
        ),
        ('[{{ event.id | json }}, "{{ event.properties.a }}"]', "{{ event.properties.a | json }}"),
        ("""{"x": "{{ 'yes' if event.properties.a else 'no' }}", "y": "{{ user.identified }}"}""", None),
        ("""{"x": "{{ event.properties.a | date: '%Y' | default: 'never' }}"}""", None),
        ('{"x": "{{ "yes" if event.properties.a else "no" }}"}', None),
        ('Hi "{{ event.properties.a }}"', None),
        ('[Alert] "{{ event.name }}" by {{ user.id }}', None),
        ('[{{ event.name }}]({{ event.properties.u }} "{{ event.properties.a }}")', None),
        ('{{ event.name }} said "{{ event.properties.a }}"', None),
        ('{greeting} "{{ event.properties.a }}"', None),
    ],
)
def test_a_value_that_can_break_json_in_a_text_is_a_warning(text: str, remedy: str | None) -> None:
    found = [one for one in mistakes({"body": {"v": text}}) if one.startswith("json-text")]
    assert [f"write `{remedy}` without quotes" in one for one in found] == [True] * (remedy is not None)


def test_three_braces_are_a_warning_that_says_what_they_send() -> None:
    assert value_of("{{{ event.id }}}") == "{e1}"
    assert mistakes({"body": {"v": "a {{{event.id}}} b", "w": "{ {{ event.id }} }"}}) == [
        "looks-like-template: the third brace is sent, in front of the value and behind it "
        "(write `{{event.id}}`)"
    ]


@pytest.mark.parametrize(
    ("template", "meant"),
    [
        ("{{ event.properties.l.0.a }}", "event.properties.l[0].a"),
        ("a {{ user.properties.l.1 | upcase }}", "user.properties.l[1]"),
        ("{% if event.properties.l.0 == 1.5 %}a{% endif %}", "event.properties.l[0]"),
        ("{{ event.properties.y.2026 | plus: 1.0 }}", None),
        ("{{ event.properties['l.0'] }} event.properties.l.0", None),
        ("{{ 'event.properties.l.0' }}", None),
    ],
)
def test_an_element_as_other_products_write_it_is_a_warning(template: str, meant: str | None) -> None:
    wanted = "looks-like-index: a number after a dot is the name of a key (for an element write `{}`)"
    assert mistakes({"body": {"v": template}}) == [wanted.format(meant)] * (meant is not None)


@pytest.mark.parametrize(
    ("template", "hint"),
    [
        ("{{ event.properties.items.size }}", "how many there are is `event.properties.items | size`"),
        ("{% if event.properties.items.size > 1 %}a{% endif %}", "how many there are is `event."),
        ("{{ event.properties.items.first.sku }}", "for an element write `event.properties.items[0].sku`"),
        ("{{ event.properties.size }} {{ user.properties.users.last_name }}", None),
        ("{{ event.properties.names.first }}", "if the key is meant, `event.properties.names['first']`"),
        ("{{ event.properties.items['size'] }}", None),
    ],
)
def test_a_word_of_liquid_that_is_a_key_here_is_a_warning(template: str, hint: str | None) -> None:
    found = mistakes({"body": {"v": template}})
    assert len(found) == (hint is not None)
    assert all(str(hint) in one for one in found)


def test_a_var_may_be_named_like_a_word_of_liquid() -> None:
    _, problems = compiled({"body": {"v": "{{ vars.first }} {{ vars.size }}"}}, vars={"first": 1, "size": 2})
    assert problems.found == []


@pytest.mark.parametrize(
    ("condition", "warns"),
    [
        ("event.id and event.name or user.id", True),
        ("event.id == 'a' and event.name == 'b' or user.id", True),
        ("event.id and (event.name or user.id)", False),
        ("(event.id and event.name) or user.id", False),
        ("event.id or event.name and user.id", False),
        ("event.id and event.name and user.id", False),
    ],
)
def test_and_before_or_is_a_warning_as_liquid_reads_it_from_the_right(condition: str, warns: bool) -> None:
    for template in (f"{{% if {condition} %}}a{{% endif %}}", f"a {{{{ 'x' if {condition} else 'y' }}}}"):
        told = [one.split(":")[1] for one in mistakes({"body": {"v": template}})]
        assert told == [" conditions are read from the right"] * warns
