"""Every webhook of the tree as a form: saved as it was opened it is the same file; changed, there alone.

All rows, one by one: HOOKLINE_EDITS=20000 pytest tests/console/forms/test_forms_any.py
"""

from __future__ import annotations

import copy
import difflib
import itertools
import os
import re
from dataclasses import replace
from functools import cache

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.config.edit.values import same
from pipeline.config.yaml.loader import parse_yaml
from pipeline.console.forms.changes import changes
from pipeline.console.forms.fields import body
from pipeline.console.forms.fields.constants import meant, meant_list, shown, shown_list
from pipeline.console.forms.fields.rows import (
    CONSTANT,
    EVENT,
    LIST,
    OBJECT,
    TABLES,
    TEMPLATE,
    USER,
    FormRow,
    Table,
    WebhookForm,
    with_rows,
)
from pipeline.console.forms.fields.scalars import FIELDS
from pipeline.console.forms.posted import act, movable
from pipeline.console.forms.read import read
from pipeline.console.forms.settle import opened, settle
from pipeline.console.forms.writing import apply, data_of
from pipeline.render.keys import DIRECTIVES
from tests.console.forms.sending import sent
from tests.kit.examples import examples
from tests.kit.streams.samples import ROOT, public_data

EVERY = 1 if "HOOKLINE_EDITS" in os.environ else 5
"""Of so many rows one is tried."""


@cache
def _texts() -> dict[str, str]:
    data = public_data()
    folders = ["config", "examples", "tests/samples", "tests/render", "docker"]
    roots = [ROOT / name for name in folders] + ([data / "webhooks"] if data is not None else [])
    files = [path for root in roots for path in sorted(root.rglob("*.y*ml"))]
    pages = [*(ROOT / "docs").glob("*.md"), ROOT / "README.md", ROOT / "config" / "README.md"]
    found = {str(path): path.read_bytes().decode() for path in files}
    for path in sorted(pages):
        for number, snippet in enumerate(re.findall(r"^```ya?ml\n(.*?)^```", path.read_text(), re.M | re.S)):
            found[f"{path}#{number}"] = snippet
    usable = {}
    for name, text in found.items():
        document = parse_yaml(text, name)
        if document.root is not None and not any(not one.warning for one in document.findings):
            usable[name] = text
    return usable


def _variants(text: str) -> list[str]:
    return [text, text.replace("\n", "\r\n"), "\ufeff" + text.rstrip("\n")]


def test_what_is_opened_and_sent_back_is_the_same_file_to_the_byte():
    for name, text in _texts().items():
        for variant in _variants(text):
            page = opened(variant)
            assert page.is_whole
            back = settle(variant, *sent(page))
            assert (back.base, back.yaml, back.errors, back.refused) == (variant, variant, (), ()), name
            assert [row.at for row in back.form.body] == list(range(len(page.form.body))), name


def test_every_field_that_is_changed_changes_one_line_of_a_file_that_has_it():
    for name, text in _texts().items():
        form = read(data_of(text))
        for field in FIELDS:
            now = form.fields[field.name]
            if not now or field.name in form.locked or field.default == now:
                continue
            new = {"flag": "", "names": f"{now}, x"}.get(field.kind, "DELETE" if field.choices else "11")
            after = _with_field(form, field.name, new)
            _require_one_change(text, form, after, (name, field.name), most=now.count("\n") + 3)


def test_every_row_that_is_changed_changes_one_line_and_every_row_can_go():
    number = 0
    for name, text in _texts().items():
        form = read(data_of(text))
        for table in TABLES:
            for index, row in enumerate(form.rows(table)):
                number += 1
                if row.is_locked or number % EVERY:
                    continue
                changed = replace(row, value="7") if row.kind not in (OBJECT, LIST) else None
                if changed is not None and not (table == "where" and row.kind in ("exists", "present")):
                    after = _with_row(form, table, index, changed)
                    most = 3 if row.kind not in ("in", "not_in", TEMPLATE) else 9
                    _require_one_change(text, form, after, (name, table, index), most=most)
                if row.keyed:
                    after = _with_row(form, table, index, replace(row, key="event.properties.brand_new"))
                    _require_one_change(text, form, after, (name, table, index, "key"), most=3)
                gone = act(form, f"remove-{table}-{index}")
                found = changes(data_of(text), form, gone)
                assert not found.errors
                done = apply(text, found.patches)
                assert not done.refused, (name, table, index, done.refused)
                assert len(read(data_of(done.text)).rows(table)) == len(gone.rows(table))


def test_every_row_changes_places_with_its_neighbour_and_nothing_else_changes():
    number = 0
    for name, text in _texts().items():
        form = read(data_of(text))
        for table, way in itertools.product(TABLES, ("up", "down")):
            rows = form.rows(table)
            for index in range(len(rows)):
                number += 1
                after = act(form, f"move-{table}-{index}-{way}")
                assert (after is not form) is movable(rows, index, up=way == "up")
                if after is form or number % (4 * EVERY):
                    continue
                found = changes(data_of(text), form, after)
                assert [patch.verb for patch in found.patches] == ["move"], (name, table, index)
                done = apply(text, found.patches)
                assert not done.refused, (name, table, index, done.refused)
                assert sorted(done.text.splitlines()) == sorted(text.splitlines()) or "{" in text
                assert _shown(read(data_of(done.text))) == _shown(after), (name, table, index)


def _with_field(form: WebhookForm, name: str, text: str) -> WebhookForm:
    return replace(form, fields={**form.fields, name: text})


def _with_row(form: WebhookForm, table: Table, index: int, row: FormRow) -> WebhookForm:
    rows = list(form.rows(table))
    rows[index] = row
    return with_rows(form, table, rows)


def _require_one_change(text: str, form: WebhookForm, after: WebhookForm, what: object, *, most: int) -> None:
    found = changes(data_of(text), form, after)
    assert not found.errors, (what, found.errors)
    assert len(found.patches) == 1, (what, found.patches)
    done = apply(text, found.patches)
    assert not done.refused, (what, done.refused)
    lines = [
        line
        for line in difflib.ndiff(text.splitlines(), done.text.splitlines())
        if line[0] in "+-"  # one of each, or the lines of a text that has several
    ]
    assert 1 <= len(lines) <= most, (what, lines)
    again = read(data_of(done.text))
    assert _shown(again) == _shown(after) or most > 3, (what, _shown(again), _shown(after))


def _shown(form: WebhookForm) -> object:
    return {table: [(row.key, row.value) for row in form.rows(table)] for table in TABLES}


# --- what people type

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
SINGLE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    TEXTS,
    st.sampled_from(
        ["true", "500", '"', '""', "a, b", " x ", "x\ny", "-", "null", "1e3", "\t", ",", '"a" b']
    ),
)


@given(SINGLE)
def test_a_value_that_is_shown_is_read_back_with_its_type(value):
    assert same(meant(shown(value)), value)


@given(st.lists(SINGLE, max_size=4))
def test_a_list_that_is_shown_is_read_back(values):
    assert same(meant_list(shown_list(values)), values)
    names = [str(one) for one in values if isinstance(one, str)]
    assert meant_list(shown_list(names, names=True), names=True) == names


KEYS: st.SearchStrategy[str] = TEXTS.filter(
    lambda key: key.strip() == key and key not in DIRECTIVES and "{{" not in key
)
KEYS = KEYS.filter(lambda key: key.isprintable() and bool(key) and "{%" not in key)
LEAVES = st.one_of(
    SINGLE.filter(lambda one: not (isinstance(one, str) and body.is_template(one))),
    st.sampled_from(["{{ event }}", "{{ event.id }}", "{{ user.properties['a b'] }}", "a {{ vars.x }}\nb"]),
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=examples(30), deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(st.dictionaries(KEYS, TREES, max_size=4), st.data())
def test_a_new_webhook_has_the_body_that_was_typed_and_keeps_it_through_edits(tree, data):
    form = _new(tree)
    text = apply("", changes(None, read(None), form).patches).text
    assert same(data_of(text)["request"]["body"], tree)
    page = opened(text)
    rows = [index for index, row in enumerate(page.form.body) if row.kind == CONSTANT]
    if rows:
        index, value = data.draw(st.sampled_from(rows)), data.draw(LEAVES)
        kind, typed = body.leaf_text(value)
        row = replace(page.form.body[index], kind=kind, value=typed)
        changed = replace(page, form=_with_row(page.form, "body", index, row))
        after = settle(text, *sent(changed))
        assert after.is_whole
        again = opened(after.base).form.body
        assert [(one.depth, one.key) for one in again] == [(one.depth, one.key) for one in page.form.body]
        expected = _plain(page.form.body)
        expected[index] = (kind, typed)
        assert _plain(again) == expected


def _plain(rows):
    return [(row.kind, row.value) for row in rows]


def _new(tree) -> WebhookForm:
    rows = read({"request": {"body": copy.deepcopy(tree)}}).body
    bare = tuple(replace(row, at=None, node=None) for row in rows)
    fields = {"id": "new", "url": "https://a.example/x", "events": "Purchase", "trigger": "events"}
    return WebhookForm(fields, body_kind=OBJECT, body=bare)


def test_more_than_a_property_is_a_template():
    for kind in (EVENT, USER):
        with pytest.raises(ValueError, match="choose the kind Template"):
            body.leaf_value(kind, "amount | round")
