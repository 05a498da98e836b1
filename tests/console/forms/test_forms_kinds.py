"""What a person does in the form of a webhook, step by step."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest

from pipeline.console.forms.fields.rows import CONSTANT, EVENT, LOCKED, OBJECT, TEMPLATE, USER, FormRow
from pipeline.console.forms.proposals import made_up
from pipeline.console.forms.settle import Settled, opened, settle
from pipeline.model.errors import UsageError
from tests.console.forms.sending import sent

FILE = """\
# who may touch this: growth
id: crm   # as in the CRM
extends: _crm
trigger:
  events: Purchase
  where:
    - event.properties.amount: {gte: 500}   # cents
    - any:
        - user.properties.country: DE
        - user.properties.plan: {in: [pro]}
    - user.properties.plan: pro
request:
  url: 'https://crm.example/a'
  headers: {X-Team: growth, "X-Plan": "{{ user.properties.plan }}"}
  body:
    text: "{{event.properties.amount}}"
    lines:
      $for: "{{ event.properties.items }}"
      sku: "{{ item.sku }}"   # as it stands there
    rest: {$spread: "{{ event.properties }}", plan: x}
vars: {a: 1}
"""


def press(page: Settled, do: str = "", **fields: str) -> Settled:
    """Send the page with some fields typed, and a button."""
    yaml, pairs = sent(page)
    typed = {name.replace("_", "-"): value for name, value in fields.items()}
    kept = [(name, typed.pop(name, value)) for name, value in pairs]
    return settle(page.base, yaml, [*kept, *typed.items()], do)


def differing(before: str, after: str) -> list[tuple[str, str]]:
    """Return the lines that differ, of texts with as many lines."""
    one, two = before.split("\n"), after.split("\n")
    assert len(one) == len(two), after
    return [pair for pair in zip(one, two, strict=True) if pair[0] != pair[1]]


def test_the_six_steps_make_a_file():
    page = opened("enabled: false\ntrigger:\n  events: []\n")
    page = press(page, url="https://shop.example/hook", id="shop", events="Purchase, Refund")
    page = press(press(page, "add-header"), header_0_name="X-Team", header_0_value="growth")
    for number in range(3):
        page = press(page, "add-key")
        assert page.form.body[number].is_blank
        key, kind, value = (("who", USER, "name"), ("fixed", CONSTANT, "1"), ("nested", OBJECT, ""))[number]
        typed = {f"body_{number}_key": key, f"body_{number}_kind": kind, f"body_{number}_value": value}
        page = press(page, **typed)
    page = press(page, "add-key-2")
    page = press(page, "save", body_3_key="amount", body_3_kind=EVENT, body_3_value="amount", enabled="on")
    assert page.is_whole
    assert page.base == (
        "id: shop\nenabled: true\ntrigger:\n  events: [Purchase, Refund]\nrequest:\n"
        "  url: https://shop.example/hook\n  headers:\n    X-Team: growth\n  body:\n"
        '    who: "{{ user.properties.name }}"\n    fixed: 1\n'
        '    nested:\n      amount: "{{ event.properties.amount }}"\n'
    )


def test_what_the_form_cannot_hold_is_shown_and_stays():
    page = opened(FILE)
    locked = [(row.key, row.value) for row in page.form.body if row.is_locked]
    assert locked == [
        ("$for", '"{{ event.properties.items }}"'),
        ("$spread", '"{{ event.properties }}"'),
    ]
    assert page.form.conditions[1].is_locked
    assert "user.properties.country: DE" in page.form.conditions[1].value
    assert [(other.path, other.text) for other in page.form.others] == [
        (("extends",), "_crm"),
        (("vars",), "{a: 1}"),
    ]
    after = press(page, url="https://crm.example/b")
    assert differing(FILE, after.base) == [
        ("  url: 'https://crm.example/a'", "  url: 'https://crm.example/b'")
    ]


def test_a_locked_row_that_is_not_sent_or_sent_otherwise_is_there_all_the_same():
    page = opened(FILE)
    yaml, pairs = sent(page)
    ours = {f"{table}-{index}-at" for table in ("body", "where") for index in range(9)}
    bare = [(name, value) for name, value in pairs if not _is_locked(page, name)]
    assert len(bare) < len(pairs)
    assert settle(FILE, yaml, bare).base == FILE
    assert ours & {name for name, _ in pairs}
    lying = [*pairs, ("body-3-value", "1"), ("body-3-key", "$for"), ("body-3-kind", CONSTANT)]
    names = [name for name, _ in pairs]
    fresh = [pair for pair in lying if pair in pairs or pair[0] not in names]
    assert settle(FILE, yaml, fresh).base == FILE
    gone = press(page, "remove-body-1")  # the object that holds it
    assert "$for" not in gone.base
    assert "$spread" in gone.base


def _is_locked(page: Settled, name: str) -> bool:
    table, _, rest = name.partition("-")
    rows = {"body": page.form.body, "where": page.form.conditions}.get(table, ())
    return bool(rows) and rest[:1].isdigit() and rows[int(rest.split("-")[0])].is_locked


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        ({"header_0_value": "sales"}, '  headers: {X-Team: sales, "X-Plan": "{{ user.properties.plan }}"}'),
        ({"header_1_name": "X-P"}, '  headers: {X-Team: growth, "X-P": "{{ user.properties.plan }}"}'),
        ({"where_0_op": "lt"}, "    - event.properties.amount: {lt: 500}   # cents"),
        ({"where_0_value": "12.5"}, "    - event.properties.amount: {gte: 12.5}   # cents"),
        ({"where_0_path": "event.id"}, "    - event.id: {gte: 500}   # cents"),
        ({"where_2_value": "true"}, "    - user.properties.plan: true"),
        ({"where_2_value": '"true"'}, '    - user.properties.plan: "true"'),
        ({"where_2_op": "in", "where_2_value": "pro, a"}, "    - user.properties.plan: [pro, a]"),
        ({"body_0_value": "Sales Rep"}, "    text: \"{{ event.properties['Sales Rep'] }}\""),
        ({"body_0_kind": "user", "body_0_value": "user.id"}, '    text: "{{ user.id }}"'),
        ({"body_0_kind": "constant", "body_0_value": "null"}, "    text: null"),
        ({"body_0_key": "a b"}, '    a b: "{{event.properties.amount}}"'),
        ({"body_3_value": "x"}, '      sku: "x"   # as it stands there'),
        ({"events": "Purchase, Refund"}, "  events: [Purchase, Refund]"),
        ({"events": "Refund"}, "  events: Refund"),
        ({"events": '"a, b"'}, "  events: a, b"),
        ({"id": "crm-2"}, "id: crm-2   # as in the CRM"),
    ],
)
def test_one_field_is_one_line(typed, line):
    after = press(opened(FILE), **typed)
    assert after.is_whole
    changed = differing(FILE, after.base)
    assert [new for _, new in changed] == [line]


@pytest.mark.parametrize(
    ("do", "typed", "field", "words"),
    [
        ("", {"body_0_key": "lines"}, "body-0-key", "there is a key `lines` already"),
        ("", {"body_0_key": ""}, "body-0-key", "a key is missing"),
        ("", {"body_0_key": "$if"}, "body-0-key", "`$$if`"),
        ("", {"body_0_key": "{{ x }}"}, "body-0-key", "constant"),
        ("", {"body_0_value": "a | round"}, "body-0-value", "Template"),
        ("", {"body_1_kind": "constant"}, "body-1-kind", "holds others"),
        ("", {"body_0_kind": "constant", "body_0_value": "9" * 30}, "body-0-value", "64 bits"),
        ("", {"where_0_value": ""}, "where-0-value", "a value is missing"),
        ("", {"where_0_op": "is"}, "where-0-op", "no operator"),
        ("", {"where_0_path": "any"}, "where-0-path", "in the YAML"),
        ("", {"header_0_name": "X-Plan"}, "header-0-name", "already"),
        ("add-header", {}, None, None),
    ],
)
def test_what_means_nothing_is_said_at_its_field_and_leaves_the_text(do, typed, field, words):
    page = opened(FILE)
    after = press(page, do, **typed)
    assert after.base == FILE
    if field is not None:
        assert [error.field for error in after.errors] == [field]
        assert words in after.errors[0].message
        again = press(after)
        assert (again.errors, again.base) == (after.errors, FILE)
        assert sent(again) == sent(after)


def test_a_row_half_typed_waits_for_its_key_while_others_change():
    page = press(opened(FILE), "add-key")
    last = len(page.form.body) - 1
    page = press(page, **{f"body_{last}_value": "7", "url": "https://crm.example/c"})
    assert "https://crm.example/c" in page.base
    assert [error.message for error in page.errors] == ["a key is missing"]
    page = press(page, **{f"body_{last}_key": "seven"})
    assert page.is_whole
    assert "    seven: 7\n" in page.base
    edited = replace(press(page, "add-key"), yaml=page.base.replace("crm.example/c", "crm.example/d"))
    assert "crm.example/d" in press(edited).base


def test_an_edit_of_the_yaml_shows_in_the_form_and_both_at_once_meet():
    page = opened(FILE)
    yaml = FILE.replace("growth\n", "sales\n").replace("    rest", "    more: 1\n    rest")
    only = press(replace(page, yaml=yaml))
    assert (only.base, only.yaml) == (yaml, yaml)
    assert [row.key for row in only.form.body if not row.depth] == ["text", "lines", "more", "rest"]
    both = press(replace(page, yaml=yaml), url="https://crm.example/b", where_0_value="7")
    assert both.is_whole
    assert both.base == yaml.replace("example/a", "example/b").replace("{gte: 500}", "{gte: 7}")
    other = yaml.replace("{gte: 500}", "{gte: 400}")
    clash = press(replace(page, yaml=other), url="https://crm.example/b", where_0_value="7")
    assert clash.base == other.replace("example/a", "example/b")
    assert [refused.reason for refused in clash.refused] == [
        '`trigger.where[0]["event.properties.amount"].gte` has changed since'
    ]


def test_a_yaml_that_cannot_be_read_waits_and_the_form_keeps_what_was_typed():
    page = press(replace(opened(FILE), yaml=FILE + "  - x: [\n"), url="https://crm.example/b")
    assert page.unread
    assert (page.base, page.yaml) == (FILE, FILE + "  - x: [\n")
    assert page.form.fields["url"] == "https://crm.example/b"
    mended = press(replace(page, yaml=FILE))
    assert mended.base == FILE.replace("example/a", "example/b")


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r", "mixed"])
def test_line_ends_and_the_mark_of_the_file_stay(end):
    text = FILE.replace("\n", "\r\n", 5) if end == "mixed" else FILE.replace("\n", end)
    text = "\ufeff" + text
    page = opened(text)
    assert press(page).base == text
    after = press(replace(page, yaml=text.replace("growth,", "sales,")))
    assert after.base == text.replace("growth,", "sales,")
    assert press(page, url="https://crm.example/b").base == text.replace("example/a", "example/b")


def test_fields_that_are_emptied_leave_no_empty_map_and_what_is_beside_stays():
    text = (
        "id: a\nlimit: {per: user, count: 2, every: 24h}\ntrigger: {events: [x]}\nrequest:\n"
        "  url: https://a.example\n  auth:\n    basic: {username: a, password: '${P}'}\n  ca: x.pem\n"
    )
    page = press(opened(text), limit_count="", limit_every="", auth="")
    assert page.base == "id: a\ntrigger: {events: [x]}\nrequest:\n  url: https://a.example\n  ca: x.pem\n"
    page = press(opened(text), auth="bearer", **{"auth-bearer-token": "${T}"})
    assert "basic" not in page.base
    assert page.base.count("${T}") == 1
    page = press(opened(text.replace("24h", "24h, by: event.id")), limit_count="", limit_every="")
    assert "limit: {per: user, by: event.id}" in page.base
    page = press(opened(text), trigger="changes", changes="plan")
    assert "trigger: {changes: [plan]}" in page.base


@pytest.mark.parametrize(
    "pair",
    [
        ("nonsense", "1"),
        ("body-0-nonsense", "1"),
        ("body-99999-at", "77"),
        ("body-0-at", "x"),
        ("body-77-kind", "nonsense"),
        ("body-77-kind", LOCKED),
        ("trigger", "x"),
        ("header-00-name", "x"),
        ("body-0-key", "twice"),
    ],
)
def test_what_no_page_sends_is_refused(pair):
    yaml, pairs = sent(opened(FILE))
    with pytest.raises(UsageError):
        settle(FILE, yaml, [*pairs, pair] if pair[0] != "body-0-at" else [pair, *pairs[1:]])


def test_any_depth_and_order_of_rows_is_read():
    yaml, _ = sent(opened(FILE))
    pairs = [("body-kind", OBJECT), ("body-0-depth", "1999"), ("body-0-key", "a"), ("body-7-depth", "3"),
             ("body-7-key", "b"), ("body-0-kind", OBJECT), ("body-7-value", "1")]  # fmt: skip
    after = settle(FILE, yaml, pairs)
    assert [(row.key, row.depth) for row in after.form.body if not row.is_locked] == [("a", 0), ("b", 1)]
    assert "    a: {b: 1}\n" in after.base


WRONG: list[object] = [None, 5, [], "x", {"request": 3}, {"trigger": None, "request": None}]
WRONG.append({"request": {"headers": [1], "body": None}, "trigger": {"where": 7}})


@pytest.mark.parametrize("data", WRONG)
def test_a_file_that_says_it_wrongly_has_a_form_that_changes_nothing(data):
    text = orjson.dumps(data).decode()
    page = opened(text)
    assert press(page).base == text
    assert press(page, "add-header").base == text


def test_a_template_and_a_text_with_quotes_are_told_apart():
    rows = opened('request: {body: {a: "{{ x }}", b: "500", c: "a\\nb", d: "", e: " x"}}\n').form.body
    assert [(row.kind, row.value) for row in rows] == [
        (TEMPLATE, "{{ x }}"),
        (CONSTANT, '"500"'),
        (CONSTANT, "a\nb"),
        (CONSTANT, '""'),
        (CONSTANT, '" x"'),
    ]
    assert FormRow().is_blank


def test_a_sample_is_made_up_of_what_the_body_reads_as_it_is_named_there() -> None:
    text = (
        "trigger: {events: [Buy]}\nrequest:\n  url: https://a.example\n  body:\n"
        '    all: "{{ event.properties }}"\n    id: "{{ event.id }}"\n'
        '    name: "{{ user.properties.name }}"\n'
        "    price: \"{{ event.properties['list price'] }}\"\n"
    )
    event, user = made_up(opened(text).form, text)
    assert event == {"name": "Buy", "user_id": "u1", "properties": {"list price": "example"}}
    assert user == {"name": "example"}


def test_a_made_up_sample_has_lists_where_they_are_looped_over_and_numbers_where_they_are_calculated() -> (
    None
):
    text = (
        "trigger: {events: [Buy]}\nrequest:\n  url: https://a.example\n  body:\n"
        '    lines:\n      - $for: "{{ event.properties.products }}"\n        sku: "{{ item.id }}"\n'
        '        sum: "{{ item.price | times: item.qty }}"\n'
        "    ids: \"{{ event.properties.parts | map: 'no' }}\"\n"
        "    band: \"{{ 'high' if event.properties.cart.total > 300 else 'low' }}\"\n"
    )
    event, _ = made_up(opened(text).form, text)
    item = {"id": 1, "price": 1, "qty": 1, "no": 1}
    assert event["properties"] == {"products": [item], "parts": [item], "cart": {"total": 100}}
