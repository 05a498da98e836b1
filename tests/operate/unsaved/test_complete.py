"""What is offered where the cursor stands: fields, names, paths, filters, secrets, also in broken texts."""

from __future__ import annotations

import re

import pytest

from pipeline.config.yaml.loader import parse_yaml
from pipeline.language.path_syntax import key_step, parse_path
from pipeline.model.json import leaves
from pipeline.operate.unsaved.complete.offers import complete
from pipeline.operate.unsaved.complete.place import place_at

HEAD = "id: a\ntrigger:\n  events: [Purchase]\n"
WHERE = HEAD + "  where:\n    - "
BODY = HEAD + "request:\n  url: https://x.example/\n  body:\n    "
AMOUNT, PLAN = "event.properties.amount", "user.properties.plan"
CATALOG = {
    "events": {
        "Refund": {"sampled": 9, "properties": {"why": {"types": ["text"], "example": "late"}}},
        "Purchase": {
            "sampled": 5,
            "properties": {
                "amount": {"types": ["number"], "example": 12.5},
                "Sales Rep": {"types": ["text"], "example": "Ann"},
            },
        },
        "yes: no": {"sampled": 1, "properties": {}},
        "(others)": {"sampled": 1, "properties": {}},
    },
    "user_properties": {"plan": {"types": ["text"], "example": "pro"}},
}
SECRETS = {"SLACK": {"set": True, "webhooks": ["b"], "has_default": False}}
NAMES = {
    "labels": ["Internal"], "bases": ["_slack"], "lists": ["lists/free.txt"], "shapes": [], "secrets": SECRETS
}  # fmt: skip


def offered(marked: str, file: str = "webhooks/a.yaml"):
    """Return what is offered at the ¦ of a text, by label."""
    before, after = marked.split("¦")
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    found = complete(file, before + after, line, column, NAMES, CATALOG)
    return {one.label: one for one in found}


@pytest.mark.parametrize(
    ("text", "first", "insert", "kind"),
    [
        ("¦", "id", "id: ", "field"),
        ("id: a\ntri¦", "trigger", "trigger: ", "field"),
        ("id: a\ntri¦: {}", "trigger", "trigger", "field"),
        ("id: a\ntrigger:\n  ev¦\nrequest: {url: x}\n", "events", "events: ", "field"),
        ("id: a\ntrigger: {ev¦", "events", "events: ", "field"),
        ("id: a\ntrigger: {events: [Pur¦", "Purchase", "Purchase", "event"),
        ("id: a\ntrigger: {events: Pur¦", "Purchase", "Purchase", "event"),
        ("id: a\ntrigger:\n  events:\n    - Refund\n    - Pur¦\n", "Purchase", "Purchase", "event"),
        ("id: a\ntrigger:\n  events:\n  - Pur¦\n", "Purchase", "Purchase", "event"),
        ("id: a\ntrigger: {events: [yes¦", "yes: no", '"yes: no"', "event"),
        ('id: a\ntrigger: {events: ["yes¦', "yes: no", "yes: no", "event"),
        ("id: a\ntrigger: {events: [Int¦", "Internal", "Internal", "label"),
        ("id: a\ntrigger:\n  changes: [pl¦", "plan", "plan", "path"),
        ("id: a\nextends: ¦", "_slack", "_slack", "base"),
        ("id: a\nenabled: t¦", "true", "true", "value"),
        (WHERE + "event.properties.am¦", "event.properties.amount", "event.properties.amount: ", "path"),
        (WHERE + "event.properties.amount: {gte¦", "gte", "gte: ", "operator"),
        (WHERE + "event.properties.amount:\n        gte¦", "gte", "gte: ", "operator"),
        (WHERE + "event.properties.amount: {gte: 1¦", "12.5", "12.5", "value"),
        (WHERE + "user.properties.plan: p¦", "pro", "pro", "value"),
        (WHERE + "any:\n        - user.prop¦", "user.properties.plan", "user.properties.plan: ", "path"),
        (WHERE + "label: ¦", "Internal", "Internal", "label"),
        (WHERE + "user.properties.plan: {in: {file: ¦", "lists/free.txt", "lists/free.txt", "value"),
        (WHERE + "user.properties.plan: {as: dom¦", "domain", "domain", "value"),
        (HEAD + "limit: {per: user, count: 1, ev¦", "every", "every: ", "field"),
        (BODY + 'a: "{{ event.properties.am¦ }}"', AMOUNT, AMOUNT, "path"),
        (BODY + "a: '{{ user.properties.pl¦", "user.properties.plan", "user.properties.plan", "path"),
        (BODY + 'a: "{{ event.name | upc¦', "upcase", "upcase", "filter"),
        (BODY + "a: event.properties.am¦", AMOUNT, '"{{ event.properties.amount }}"', "path"),
        (BODY + "a: |\n      first\n      {{ user.prop¦", PLAN, PLAN, "path"),
        (BODY + "l:\n      - $for: '{{ event.properties.x }}'\n        b: '{{ it¦", "item", "item", "path"),
        (BODY + "- {a: '{{ vars.o¦' }\nvars: {owners: 1}", "vars.owners", "vars.owners", "path"),
        (BODY + "- {a: '{{ vars.o¦' }\nvars:\n  owners: 1\n", "vars.owners", "vars.owners", "path"),
        (HEAD + "request:\n  method: P¦", "POST", "POST", "value"),
        (HEAD + "request:\n  headers:\n    Authorization: Bearer ${SL¦", "SLACK", "SLACK}", "secret"),
        (HEAD + "request:\n  headers: {Authorization: 'Bearer ${¦}'}", "SLACK", "SLACK", "secret"),
        (HEAD + "delivery:\n  ret¦", "retry", "retry: ", "field"),
        (HEAD + "delivery: {retry: {min¦", "min_delay", "min_delay: ", "field"),
    ],
)  # fmt: skip
def test_the_likeliest_comes_first_and_is_written_as_yaml_wants_it(text, first, insert, kind) -> None:
    found = offered(text)
    assert next(iter(found)) == first
    assert (found[first].insert, found[first].kind) == (insert, kind)


def test_what_is_offered_says_its_meaning_its_type_and_an_example() -> None:
    assert offered("id: a\nena¦")["enabled"].detail
    assert offered(BODY + "a: '{{ event.properties.am¦")["event.properties.amount"].detail == (
        "number, e.g. 12.5 (of Purchase)"
    )
    assert offered(HEAD + "request: {url: 'https://x/${¦")["SLACK"].detail == "set, used by b"
    assert "gives" in offered(BODY + "a: '{{ x | upc¦")["upcase"].detail


def test_a_name_that_is_no_word_stands_in_brackets() -> None:
    path = 'event.properties["Sales Rep"]'
    assert offered(BODY + "a: '{{ Sales¦")[path].insert == path
    assert offered(WHERE + "Sales¦")[path].insert == f"'{path}': "
    assert offered(BODY + "a: Sales¦")[path].insert == "'{{ event.properties[\"Sales Rep\"] }}'"


@pytest.mark.parametrize("name", ["Sales Rep", "it's", 'q"q', "a.b", "b\\s", "c\\", "d'\"e"])
@pytest.mark.parametrize(
    "text",
    [
        BODY + "v: ¦\n",
        BODY + 'v: "¦"\n',
        BODY + "v: '¦'\n",
        BODY + 'v: "{{ ¦ }}"\n',
        BODY + "v: '{{ ¦ }}'\n",
        BODY + 'v: "Hi {{ ¦ }}"\n',
        BODY + "v: >-\n      {{ ¦ }}\n",
        HEAD + "  sample: {percent: 5, by: ¦}\n",
        HEAD + '  sample: {percent: 5, by: "¦"}\n',
        HEAD + "  sample: {percent: 5, by: '¦'}\n",
    ],
)
def test_an_odd_name_is_written_as_the_quotes_around_it_want(text: str, name: str) -> None:
    before, after = text.split("¦")
    seen = {"types": ["text"], "example": None}
    catalog = {"events": {}, "user_properties": {name: seen}}
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    path = parse_path(f"user.properties{key_step(name)}")
    (one,) = (
        one for one in complete("webhooks/a.yaml", before + after, line, column, NAMES, catalog)
        if one.label == path.text
    )  # fmt: skip
    document = parse_yaml(before + one.insert + after, "a.yaml")
    assert document.findings == []
    assert document.root is not None
    (written,) = (value for _, value in leaves(document.root.value) if "properties" in str(value))
    found = re.search(r"\{\{ (.*) \}\}", written)
    assert parse_path(written if found is None else found[1]).parts == path.parts


def test_keys_that_are_there_already_are_not_offered() -> None:
    assert {"id", "trigger"}.isdisjoint(offered("id: a\n¦\ntrigger: {events: x}\n"))
    assert {"events", "where"} & offered("id: a\ntrigger: {events: x, ¦").keys() == {"where"}
    assert "gte" in offered(WHERE + "event.properties.a: {gte: 1}\n    - event.properties.b:\n        ¦")


def test_what_follows_brackets_or_a_text_of_several_lines_is_outside_of_them() -> None:
    assert "limit" in offered("id: a\ndescription: |\n  text: {\n  more\nlim¦")
    assert "limit" in offered("id: a\nvars: {a: 1,\n  b: 2}\nlim¦")
    assert "b" not in offered("id: a\nvars: {a: 1,\n  b¦")


def test_the_files_of_labels_and_shapes_have_fields_of_their_own() -> None:
    assert "capture" in offered("name: x\nany:\n  - cap¦", "labels/x.yaml")
    assert "records" in offered("name: x\nrec¦", "shapes/x.yaml")


@pytest.mark.parametrize(
    "text", ["", "\n" * 9, "\t", "- - - ", "{" * 500, "a: " * 500, "'", '"', "a: 'b", "x: [{", "  " * 9000]
)
def test_no_text_is_too_broken_to_be_looked_at(text) -> None:
    for line in (1, 5, 10_000):
        for column in (1, 3, 100_000):
            place_at(text, line, column)
            complete("webhooks/a.yaml", text, line, column, NAMES, CATALOG)


def test_the_word_before_the_cursor_is_found_at_once_also_behind_a_long_one() -> None:
    line = "a" * 200_000 + " {{ x.y"  # with a start from each of its letters: many minutes
    assert place_at(line, 1, len(line) + 1).word == "x.y"
