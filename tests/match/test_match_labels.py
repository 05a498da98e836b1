"""Labels: unions of names, captured events, conditions, users; and the CSS selectors in them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config.yaml.diagnostics import Problem, Problems
from pipeline.match.index import TriggerIndex
from pipeline.match.selectors import SelectorError, compile_selector
from pipeline.model.json import Value
from pipeline.model.records import Event
from tests.kit.streams.matching import holds, labels_of, read_labels, trigger_of
from tests.kit.streams.records import event, user
from tests.kit.streams.samples import shared_data


def element(tag: str = "div", /, **fields: Any) -> dict[str, Value]:
    known: dict[str, Any] = {
        "id": None,
        "classes": [],
        "attributes": {},
        "text": None,
        "nth_child": 1,
        "nth_of_type": 1,
    }
    return {"tag": tag, **known, **fields}


CHAIN = [
    element("span", classes=["icon"], text=" Sign up now "),
    element(
        "a",
        classes=["signup", "btn"],
        attributes={"href": "/join?x=1", "data-attr": "Join", "rel": "nofollow me"},
        nth_child=3,
        nth_of_type=2,
    ),
    element("li", nth_child=2, nth_of_type=2),
    element("nav", id="top", attributes={"id": "top", "lang": "de-AT"}),
    element("body"),
]


def click(elements: list[dict[str, Value]] | None = CHAIN, **fields: Any) -> Event:
    return event("$autocapture", fields.pop("properties", {}), kind="click", elements=elements, **fields)


def problems_of(*files: Mapping[str, Value]) -> list[Problem]:
    return read_labels(*files)[1]


def carries(label: Mapping[str, Value], one: Event, **options: Any) -> bool:
    """Return whether the event carries the label, as a condition and through the index alike."""
    labels = labels_of({"name": "L", **label}, **options)
    verdict = holds({"label": "L"}, one, user({"plan": "pro"}), labels=labels)
    index = TriggerIndex([trigger_of({"trigger": {"events": ["L"]}}, labels=labels)])
    assert (index.select(one) == (0,)) is verdict
    return verdict


def test_a_label_is_a_union_of_names() -> None:
    label = {
        "any": [{"events": ["signup", "Sign-up"]}, {"events": "joined", "where": {"event.source": "ios"}}]
    }
    assert carries(label, event("signup"))
    assert carries(label, event("Sign-up"))
    assert carries(label, event("joined", source="ios"))
    assert not carries(label, event("joined"))
    assert not carries(label, event("signup", kind="update"))


def test_labels_may_be_made_of_labels() -> None:
    labels = labels_of(
        {"name": "Outer", "events": ["Inner", "z"], "where": {"event.properties.b": 1}},
        {"name": "Inner", "any": [{"events": ["x"], "where": {"event.properties.a": 1}}, {"events": ["y"]}]},
    )
    index = TriggerIndex([trigger_of({"trigger": {"events": ["Outer", "w"]}}, labels=labels)])
    assert index.select(event("x", {"a": 1, "b": 1})) == (0,)
    assert index.select(event("x", {"b": 1})) == ()
    assert index.select(event("y", {"b": 1})) == (0,)
    assert index.select(event("z", {"b": 1})) == (0,)
    assert index.select(event("w")) == (0,)
    assert index.select(event("Outer")) == ()


def test_a_circle_of_labels_is_an_error_that_shows_it() -> None:
    (found,) = problems_of(
        {"name": "A", "events": ["B"]}, {"name": "B", "where": {"label": "C"}}, {"name": "C", "events": ["A"]}
    )
    assert found.code == "label-cycle"
    assert "A -> B -> C -> A" in found.message
    assert found.hint == "take `A` out of the label `C`"
    (own,) = problems_of({"name": "A", "events": ["A"]})
    assert own.hint == "give the label another name than the event"


@pytest.mark.parametrize("in_order", [True, False])
@pytest.mark.parametrize("said", [lambda name: {"where": {"label": name}}, lambda name: {"events": [name]}])
def test_a_long_chain_of_labels_is_refused_and_a_shorter_one_is_asked(said: Any, in_order: bool) -> None:
    def chain(length: int) -> list[dict[str, Any]]:
        made = [{"name": f"L{n}"} | said(f"L{n + 1}") for n in range(length)]
        made.append({"name": f"L{length}", "where": {"event.properties.a": 1}, "events": ["x"]})
        return made if in_order else made[::-1]

    whole = labels_of(*chain(40)).get("L0")
    assert whole is not None
    assert whole.node.test(event("x", {"a": 1}), user(), None)
    assert not whole.node.test(event("x"), user(), None)
    found = problems_of(*chain(1000))
    assert not found or {one.code for one in found} == {"too-deep"}
    assert found or not in_order


@pytest.mark.parametrize("labels", [2, 4])
def test_conditions_are_no_deeper_with_the_labels_in_them_than_can_be_asked(labels: int) -> None:
    def deep(tree: Any) -> Any:
        for _ in range(100):
            tree = {"not": tree}
        return tree

    files = [{"name": f"L{n}", "where": deep({"label": f"L{n - 1}"})} for n in range(1, labels)]
    found = problems_of({"name": "L0", "where": deep({"event.properties.a": 1})}, *files)
    assert [one.code for one in found] == ["too-deep"] * len(found)
    assert bool(found) is (labels > 1)


def test_a_label_about_users_is_a_condition_and_no_event() -> None:
    labels = labels_of({"name": "fans", "where": {"user.properties.plan": "pro"}})
    problems = Problems()
    labels.alternatives(["fans"], problems)
    assert problems.found[0].hint == "use it in a condition: where: [{label: fans}]"


def test_a_label_that_reads_the_user_is_decided_after_the_join() -> None:
    labels = labels_of(
        {"name": "L", "any": [{"events": ["x"], "where": {"user.properties.plan": "pro"}}, {"events": ["y"]}]}
    )
    trigger = trigger_of({"trigger": {"events": ["L"]}}, labels=labels)
    index = TriggerIndex([trigger])
    assert index.select(event("x")) == index.select(event("y")) == (0,)
    assert trigger.user_side is not None
    assert trigger.user_side(event("x"), user({"plan": "pro"}), None)
    assert not trigger.user_side(event("x"), user(), None)
    assert trigger.user_side(event("y"), user(), None)


@pytest.mark.parametrize(
    ("capture", "verdict"),
    [
        ({"kind": "click"}, True),
        ({"kind": ["submit", "change"]}, False),
        ({"selector": "nav a.signup"}, True),
        ({"selector": "nav a.login"}, False),
        ({"kind": "click", "selector": "a.login, nav > li > a"}, True),
        ({"text": "Sign up now"}, True),
        ({"text": {"glob": "Sign*"}}, True),
        ({"text": {"contains": "UP", "ignore_case": True}}, True),
        ({"text": {"not_contains": "Sign"}}, False),
        ({"text": ["Log in", "Sign up now"]}, True),
        ({"href": {"starts_with": "/join"}}, True),
        ({"href": {"regex": "x=[0-9]$"}}, True),
        ({"href": "/other"}, False),
        ({"path": {"glob": "/pricing/**"}}, True),
        ({"path": {"glob": "/docs/**"}}, False),
        ({"url": {"contains": "utm="}}, True),
        ({"kind": "click", "selector": "a", "text": "Sign up now", "path": "/pricing/eu"}, True),
        ({"kind": "click", "selector": "a", "text": "Log in"}, False),
    ],
)
def test_captured_events_match_by_kind_selector_text_href_path_and_url(capture: Value, verdict: bool) -> None:
    properties = {"$current_url": "https://x.io/pricing/eu?utm=a", "$pathname": "/pricing/eu"}
    assert carries({"capture": capture}, click(properties=properties)) is verdict


def test_capture_reads_what_sdks_put_elsewhere() -> None:
    flat = click(
        None, properties={"$el_text": "Buy", "href": "/buy"}, context={"page": {"url": "https://x.io/shop"}}
    )
    assert carries({"capture": {"text": "Buy", "href": "/buy", "path": "/shop"}}, flat)
    assert not carries({"capture": {"selector": "a"}}, flat)
    assert not carries({"capture": {"text": "Buy"}}, click(None))
    odd = click(
        [element("a", text=5, attributes=None, classes=None)], properties={"$pathname": 7, "url": "http://[x"}
    )
    assert not carries({"capture": {"text": "5", "path": "/x"}}, odd)


def test_a_captured_label_is_asked_only_of_events_of_its_kind() -> None:
    labels = labels_of({"name": "L", "capture": {"kind": "click", "selector": "a"}})
    index = TriggerIndex([trigger_of({"trigger": {"events": ["L"]}}, labels=labels)])
    assert not index.wants("$autocapture", "track")
    assert index.wants("$autocapture", "click")
    assert index.wants("$autocapture", None)
    assert index.select(click()) == (0,)
    assert index.select(event("$autocapture", elements=CHAIN)) == ()


def test_a_capture_may_be_narrowed_by_name_and_condition() -> None:
    label = {
        "events": ["$autocapture"],
        "capture": {"kind": "click", "selector": "a"},
        "where": {"event.source": "web"},
    }
    assert carries(label, click())
    assert not carries(label, click(source="ios"))
    assert not carries(label, event("other", kind="click", elements=CHAIN))


@pytest.mark.parametrize(
    ("selector", "verdict"),
    [
        ("a", True),
        ("A", True),
        ("*", True),
        ("button", False),
        ("a.signup.btn", True),
        ("a.signup.big", False),
        (".icon", True),
        ("#top", True),
        ("nav#top", True),
        ("#top > li", True),
        ("#top > a", False),
        ("#top a span", True),
        ("body nav span.icon", True),
        ("span nav", False),
        ("nav li > a > span", True),
        ("a[href]", True),
        ("a[href='/join?x=1']", True),
        ("a[href^='/join']", True),
        ("a[href$='x=1']", True),
        ("a[href*='?x']", True),
        ("a[href^='']", False),
        ("a[rel~=me]", True),
        ("nav[lang|=de]", True),
        ("nav[lang|=d]", False),
        ("a[data-attr=join]", False),
        ("a[data-attr=join i]", True),
        ("a[class~=btn]", True),
        ("nav[id=top]", True),
        ("a:nth-child(3)", True),
        ("a:nth-child(2)", False),
        ("a:nth-child(odd)", True),
        ("a:nth-child(2n+1)", True),
        ("a:nth-child(n+4)", False),
        ("a:nth-child(-n+3)", True),
        ("a:nth-of-type(2)", True),
        ("li:first-child", False),
        ("span:first-child", True),
        ("a:not(.login)", True),
        ("a:not(.signup, .login)", False),
        (":is(button, a).btn", True),
        (":where(nav li) > a", True),
        ("button, a.btn", True),
        ("button , input", False),
    ],
)
def test_a_selector_matches_any_element_of_the_chain(selector: str, verdict: bool) -> None:
    assert compile_selector(selector)(CHAIN) is verdict


@pytest.mark.parametrize(
    "selector",
    [
        "",
        "a >",
        "a + b",
        "a ~ b",
        "a:last-child",
        "a:nth-last-child(2)",
        "a:hover",
        "a:has(b)",
        "a::before",
        "a[",
        "[a=5x]",
        "a:nth-child(x)",
        "a,,b",
        "#5",
        "a" * 3000,
        ":is()",
        "svg|a",
    ],
)
def test_a_selector_that_a_chain_cannot_answer_is_an_error_at_load(selector: str) -> None:
    with pytest.raises(SelectorError):
        compile_selector(selector)
    (found,) = problems_of({"name": "L", "capture": {"selector": selector}})
    assert found.path == ("capture", "selector")


def test_a_hostile_selector_is_answered_in_linear_time() -> None:
    chain = [element("div", classes=["x"]) for _ in range(256)]
    assert not compile_selector(" ".join(["div.x"] * 300) + " b")(chain)
    assert compile_selector(" ".join(["div"] * 256))(chain)
    assert not compile_selector(" ".join(["div"] * 257))(chain)


TAGS = st.sampled_from(["a", "b", "div"])
STEPS = st.lists(st.tuples(st.sampled_from([" ", " > "]), TAGS), max_size=3)


@given(tags=st.lists(TAGS, max_size=6), first=TAGS, steps=STEPS)
def test_combinators_agree_with_a_plain_search(
    tags: list[str], first: str, steps: list[tuple[str, str]]
) -> None:
    chain = [element(tag) for tag in tags]

    def search(at: int, level: int) -> bool:
        """Does the chain's element match the selector's first `level` steps?"""
        if tags[at] != (first if level == 0 else steps[level - 1][1]):
            return False
        if level == 0:
            return True
        outer = (
            range(at + 1, len(tags)) if steps[level - 1][0] == " " else range(at + 1, min(at + 2, len(tags)))
        )
        return any(search(other, level - 1) for other in outer)

    selector = first + "".join(combinator + tag for combinator, tag in steps)
    assert compile_selector(selector)(chain) is any(search(at, len(steps)) for at in range(len(tags)))


def test_recorded_clicks_of_a_browser_sdk_carry_the_labels_they_should() -> None:
    decoded = []
    for line in (
        (shared_data() / "events" / "posthog-capture" / "events.jsonl").read_text("utf-8").splitlines()
    ):
        record = json.loads(line)
        chain = record["properties"].get("$elements")
        if record["event"] == "$autocapture" and chain:
            decoded.append((record, chain))
    assert len(decoded) == 19
    for record, chain in decoded:
        elements = [
            element(
                item["tag_name"],
                classes=item.get("classes", []),
                attributes={name[6:]: value for name, value in item.items() if name.startswith("attr__")},
                text=item.get("$el_text"),
                nth_child=item["nth_child"],
                nth_of_type=item["nth_of_type"],
            )
            for item in chain
        ]
        one = click(elements, properties=record["properties"])
        pressed = any("LemonButton" in item.get("classes", []) for item in chain)
        assert carries({"capture": {"kind": "click", "selector": ".LemonButton"}}, one) is pressed
        nested = any(item["tag_name"] == "button" for item in chain) and chain[0]["tag_name"] == "span"
        assert not nested or carries({"capture": {"selector": "button span"}}, one)
        persons = any(item.get("attr__href") == "/persons" for item in chain)
        assert carries({"capture": {"href": "/persons"}}, one) is persons
        assert carries({"capture": {"url": record["properties"]["$current_url"]}}, one)


@pytest.mark.parametrize(
    ("label", "path"),
    [
        ({"events": ["x"]}, ()),
        ({"name": "L", "any": ["x"]}, ("any", 0)),
        (
            {"name": "L", "any": [{"capture": {"text": {"globb": "x"}}}]},
            ("any", 0, "capture", "text", "globb"),
        ),
        ({"name": "L", "where": {"user.propertes.x": 1}}, ("where", "user.propertes.x")),
        ({"name": "L", "any": []}, ("any",)),
        ({"name": "L", "events": []}, ("events",)),
        ({"name": "L", "capture": {}}, ("capture",)),
    ],
)
def test_a_mistake_in_a_label_is_found_at_its_place(label: Mapping[str, Value], path: Any) -> None:
    assert [problem.path for problem in problems_of(label)] == [path]


def test_two_labels_of_one_name_are_an_error() -> None:
    (found,) = problems_of({"name": "L", "events": ["x"]}, {"name": "L", "events": ["y"]})
    assert found.code == "duplicate-label"


def test_list_files_work_in_labels() -> None:
    label = {"where": {"event.properties.email": {"as": "domain", "in": {"file": "lists/own.txt"}}}}
    assert carries(label, event("x", {"email": "a@acme.com"}), lists={"lists/own.txt": ["acme.com"]})
