"""explain shows every clause with the value it saw; what it says is what the trigger does."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pipeline.match.verdicts import explain, explain_trigger
from pipeline.model.records import MISSING
from tests.kit.streams.matching import condition, labels_of, trigger_of
from tests.kit.streams.records import event, user

LABELS = labels_of(
    {"name": "internal", "where": {"user.properties.email": {"as": "domain", "eq": "acme.com"}}},
    {
        "name": "Sale",
        "any": [
            {"events": ["Purchase"], "where": {"event.properties.amount": {"gt": 0}}},
            {"events": ["Order"]},
        ],
    },
)


def test_every_clause_shows_path_value_operand_and_verdict() -> None:
    tree = [
        {"event.properties.amount": {"gte": 500}},
        {"any": [{"user.properties.plan": "pro"}, {"not": {"user.properties.country": ["DE"]}}]},
    ]
    found = explain(
        condition(tree).nodes, event(properties={"amount": 600}), user({"plan": "free", "country": "DE"})
    )
    assert [(one.depth, one.text, one.seen, one.operand, one.holds) for one in found] == [
        (0, 'event.properties.amount: {"gte":500}', 600, 500, True),
        (0, "any", MISSING, None, False),
        (1, 'user.properties.plan: {"eq":"pro"}', "free", "pro", False),
        (1, "not", MISSING, None, False),
        (2, 'user.properties.country: {"in":["DE"]}', "DE", ["DE"], True),
    ]


def test_a_trigger_shows_names_labels_where_exclude_and_sample() -> None:
    webhook = {
        "trigger": {
            "events": ["Sale"],
            "where": {"event.source": "web"},
            "sample": {"percent": 100, "by": "user.id"},
        }
    }
    trigger = trigger_of(webhook, labels=LABELS, exclude=["internal"])
    found = explain_trigger(trigger, event(properties={"amount": 5}), user({"email": "a@acme.com"}))
    top = [(one.text, one.seen, one.holds) for one in found if one.depth == 0]
    assert top == [
        ("events: [Order, Purchase]", "Purchase", True),
        ('event.source: {"eq":"web"}', "web", True),
        ("exclude: internal", MISSING, False),
        ("sample: 100% by user.id", "u1", True),
    ]
    assert ("event.name: Purchase", "Purchase", True) in [(one.text, one.seen, one.holds) for one in found]
    assert ('event.properties.amount: {"gt":0}', 5, True) in [
        (one.text, one.seen, one.holds) for one in found
    ]


def test_a_change_shows_what_changed() -> None:
    trigger = trigger_of({"trigger": {"changes": ["plan"], "where": {"user.before.plan": "free"}}})
    update = event("User updated", {"plan": "pro"}, kind="update")
    found = explain_trigger(trigger, update, user(before={"plan": "free"}))
    assert [(one.seen, one.holds) for one in found] == [(["plan"], True), ("free", True)]
    assert not explain_trigger(trigger, event(), user())[0].holds


def test_captures_show_the_chain_they_saw() -> None:
    labels = labels_of({"name": "L", "capture": {"kind": "click", "selector": "a.x", "text": "Go"}})
    chain = [
        {
            "tag": "a",
            "id": "b",
            "classes": ["y"],
            "attributes": {},
            "text": "Go",
            "nth_child": 1,
            "nth_of_type": 1,
        }
    ]
    trigger = trigger_of({"trigger": {"events": ["L"]}}, labels=labels)
    found = explain_trigger(trigger, event("$autocapture", kind="click", elements=chain), user())
    seen = {one.text: (one.seen, one.holds) for one in found}
    assert seen["capture.selector: a.x"] == ("a#b.y", False)
    assert seen['capture.text: {"eq":"Go"}'] == (["Go"], True)
    assert seen["event.kind: click"] == ("click", True)


@given(
    amount=st.sampled_from([0, 5, "x", None]),
    name=st.sampled_from(["Purchase", "Order", "Other"]),
    email=st.sampled_from(["a@acme.com", "b@x.org", None]),
)
def test_the_findings_at_the_top_say_whether_it_fires(amount: object, name: str, email: object) -> None:
    trigger = trigger_of(
        {"trigger": {"events": ["Sale"], "where": [{"event.properties.amount": {"exists": True}}]}},
        labels=LABELS,
        exclude=["internal"],
    )
    one, by = event(name, {"amount": amount}), user({"email": email})
    found = explain_trigger(trigger, one, by)
    assert all(finding.holds for finding in found if finding.depth == 0) is trigger.holds(one, by)
