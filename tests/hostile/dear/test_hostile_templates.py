"""Templates of an ordinary config over events at the size limit: each is rendered, or too expensive."""

from __future__ import annotations

import time
from typing import Any

import pytest

from pipeline.config.yaml.diagnostics import Problems
from pipeline.language.work import TooExpensive, begin
from pipeline.match.conditions.compile import compile_condition
from pipeline.match.conditions.nodes import Predicate
from pipeline.model.errors import RenderError
from pipeline.model.json import Value
from tests.kit.named import cut
from tests.render.rendering import a_user, an_event, read_request

pytestmark = pytest.mark.timeout(60)

EVENT = an_event(
    {
        "few": list(range(1_000)),
        "many": [{"id": n, "k": f"v{n}"} for n in range(30_000)],
        "texts": [f"x{n}" for n in range(60_000)],
        "keys": {f"k{n}": n for n in range(50_000)},
        "text": "x" * 500_000,
        "format": "%c" * 250_000,
        "small_format": "%c" * 400,
        "deep": [[[["x"] * 100] * 10] * 10] * 10,
    }
)
USER = a_user()


def condition(tree: Value, problems: Problems) -> Predicate:
    return compile_condition(tree, problems, roots=("event", "user", "vars", "item", "index")).whole


def loop(do: Value) -> dict[str, Value]:
    return {"x": {"$for": "{{ P.few }}", "$do": do}}


def twice(inner: str) -> str:
    return "{% for i in P.few %}" + inner + "{% endfor %}"


def filled(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: filled(one) for key, one in tree.items()}
    return tree.replace("P.", "event.properties.") if isinstance(tree, str) else tree


@pytest.mark.parametrize(
    "body",
    [
        *(
            loop("{{ P.many | " + filters + " }}")
            for filters in (
                *("where: 'id', 5 | size", "sort: 'k' | size", "map: 'id' | sum", "uniq: 'k' | size"),
                *("json | size", "reverse | size", "find: 'id', 7", "has: 'id', -1", "compact | size"),
            )
        ),
        *(
            loop("{{ P.text | " + filters + " }}")
            for filters in ("sha256", "replace: 'xx', 'y' | size", "upcase")
        ),
        loop("{{ event }}"),
        loop("a {{ P.many }}"),
        loop("{{ 'a' if P.texts contains 'q' else 'b' }}"),
        loop("{{ event.time | date: P.small_format }}"),
        loop("{{ P.deep | uniq | size }}"),
        {"x": {"$for": "{{ P.few }}", "$if": {"any_element": {"event.properties.many": {"id": -1}}}, "v": 1}},
        {"x": {"$for": "{{ P.few }}", "$spread": "{{ P.keys }}"}},
        twice("{% for j in P.keys limit: 0 %}{% endfor %}"),
        twice("{% for j in P.many offset: 29999 %}{% endfor %}"),
        twice("{% case P.many %}{% when P.many %}{% endcase %}"),
        twice("{% if P.many == P.many %}{% endif %}"),
        "{{ P.texts" + " | reverse" * 20 + " | size }}",
    ],
    ids=cut(70),
)
def test_what_a_loop_repeats_is_too_expensive_at_the_same_place_each_time(body: Value):
    template, problems = read_request({"body": filled(body)}, condition=condition)
    assert template is not None
    assert problems.errors == 0
    reasons = set()
    for _ in range(2):
        begin(None, None)
        with pytest.raises(TooExpensive, match=r"webhooks/w\.yaml.*request\.body") as told:
            template.render(EVENT, USER)
        reasons.add(str(told.value))
    assert len(reasons) == 1


def test_the_format_of_a_time_is_short():
    template, _ = read_request({"body": {"x": "{{ event.time | date: event.properties.format }}"}})
    assert template is not None
    with pytest.raises(RenderError, match="at most 1,000 characters"):
        template.render(EVENT, USER)


@pytest.mark.parametrize(
    "body",
    ["{{ (1..10000) | size }}" * 2_800, "{% for i in (1..10000) %}{% endfor %}" * 1_700],
    ids=["ranges", "loops over ranges"],
)
def test_constants_are_made_at_load_within_a_budget(body: str):
    begun = time.process_time()
    template, problems = read_request({"body": {"x": body}})
    assert template is not None
    assert problems.errors == 0
    assert time.process_time() - begun < 5


@pytest.mark.parametrize(
    "body",
    [
        {"$for": "{{ P.few }}", "n": "{{ item }}", "t": "{{ item | plus: 1 | append: ' EUR' }}"},
        {"event": "{{ event }}", "user": "{{ user }}"},
        {"x": "{{ P.many | map: 'k' | size }}", "y": "{{ P.text | sha256 }}"},
        "{% for x in P.few %}{{ x | times: 2 }}, {% endfor %}",
    ],
    ids=cut(40),
)
def test_honest_templates_over_large_events_are_rendered(body: Value):
    template, problems = read_request({"body": filled(body)}, condition=condition)
    assert template is not None
    assert problems.errors == 0
    begin(EVENT, USER)
    assert template.render(EVENT, USER).body
