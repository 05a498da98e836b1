"""New Webhook and Edit, as a browser without scripts sends them."""

from __future__ import annotations

import html
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest

from pipeline.console.forms.fields.scalars import AUTH
from pipeline.console.forms.settle import opened
from pipeline.console.pages.editing.look import mistyped
from pipeline.console.pages.editing.offers import Offers
from pipeline.console.pages.editing.samples import choose
from pipeline.operate.check import check
from pipeline.operate.running.looks import Sample
from tests.kit.streams.samples import ROOT
from tests.kit.web.pages import served
from tests.kit.web.pages_sent import Visitor, fields_of, problems_of


@pytest.fixture(scope="module")
def ann(tmp_path_factory):
    folder = tmp_path_factory.mktemp("edit")
    shutil.copytree(ROOT / "config", folder / "config")
    with served(folder, {}) as caller:
        yield Visitor.of(caller)


def _text(ann: Visitor, name: str) -> str:
    return (ann.caller.config / "webhooks" / f"{name}.yaml").read_bytes().decode()


SHIPPED = {path.stem: path for path in (ROOT / "config/webhooks").glob("*.yaml") if ".test" not in path.name}


def test_every_webhook_is_opened_and_saved_as_it_was(ann: Visitor):
    for name in SHIPPED:
        id = _text(ann, name).partition("id: ")[2].split()[0]
        page = ann.get(f"/webhooks/{id}/edit")
        assert page.status == 200, (name, page.text)
        assert problems_of(page) == {}
        before = _text(ann, name)
        answer = ann.send(page, f"/webhooks/{id}/edit", "save")
        assert answer.status == 303, (answer.text, problems_of(answer))
        assert _text(ann, name) == before


def test_every_field_of_a_way_to_authenticate_has_its_place(ann: Visitor):
    auth = (
        "{oauth2: {token_url: 'https://id.example/t', client_id: a, client_secret: '${T:-t}', resource: r}}"
    )
    text = f"id: tokens\ntrigger: {{events: [A]}}\nrequest:\n  url: https://h.example\n  auth: {auth}\n"
    (ann.caller.config / "webhooks" / "tokens.yaml").write_text(text)
    fields = dict(fields_of(ann.get("/webhooks/tokens/edit")))
    assert {name for name in fields if name.startswith("auth-")} == {
        f"auth-oauth2-{one}" for one in AUTH["oauth2"]
    }
    assert fields["auth-oauth2-resource"] == "r"


def test_the_six_steps_without_scripts(ann: Visitor):
    new = "/new-webhook"
    page = ann.get(new)
    assert page.status == 200, page.text
    assert problems_of(page) == {}
    page = ann.send(page, new, "add-header", url="https://crm.example/hook", events="Purchase")
    assert dict(fields_of(page))["id"] == "crm-purchase"
    page = ann.send(page, new, "add-key", header_0_name="X-Team", header_0_value="growth")
    page = ann.send(page, new, "add-key", body_0_key="who", body_0_kind="user", body_0_value="name")
    page = ann.send(page, new, "add-key", body_1_key="fixed", body_1_value="1")
    page = ann.send(page, new, "refresh", body_2_key="nested", body_2_kind="object")
    page = ann.send(page, new, "add-key-2")
    page = ann.send(page, new, "refresh", body_3_key="amount", body_3_kind="event", body_3_value="amount")
    assert "X-Team: growth" in page.text
    answer = ann.send(page, new, "save", enabled="on")
    assert answer.status == 303, problems_of(answer)
    assert answer.headers["location"] == "/webhooks/crm-purchase/saved"
    assert "Saved; no job is running." in ann.get("/webhooks/crm-purchase/saved").text
    text = _text(ann, "crm-purchase")
    assert text == (
        "# yaml-language-server: $schema=../schema/webhook.json\nid: crm-purchase\nenabled: true\ntrigger:\n"
        "  events: [Purchase]\nrequest:\n  url: https://crm.example/hook\n  headers:\n    X-Team: growth\n"
        '  body:\n    who: "{{ user.properties.name }}"\n    fixed: 1\n'
        '    nested:\n      amount: "{{ event.properties.amount }}"\n'
    )
    line = ann.caller.audit[-1]
    assert (line["action"], line["target"], line["result"]) == (
        "create",
        "webhooks/crm-purchase.yaml",
        "done",
    )


def test_an_event_that_nobody_chose_follows_the_trigger():
    seen = [Sample(str(n), "2026-01-01T12:00:00Z", ({"name": name},)) for n, name in enumerate("AAB")]
    key, chosen = "", []
    for typed in ("", "A", "A, B", "B", "C"):
        form = opened(f"id: x\ntrigger: {{events: [{typed}]}}\n").form
        key = choose(form, "", seen, [], key=key, record="", user="").key
        chosen.append(key)
    assert chosen == ["auto:made", "auto:0", "auto:0", "auto:2", "auto:made"]
    form = opened("id: x\ntrigger: {events: [B]}\n").form
    for picked in ("0", "made"):
        assert choose(form, "", seen, [], key=picked, record="", user="").key == picked


def test_a_sample_that_is_no_event_says_what_it_is():
    records = {
        "Not understood": {"invalid": "no JSON"},
        "Deletion of a user": {"type": "user", "delete": True, "user_id": "u"},
        "Link of two ids": {"type": "identify", "user_id": "u", "anonymous_id": "a"},
        "Update of a user": {"type": "user", "user_id": "u", "set": {}},
    }
    seen = [Sample(str(n), "2026-01-01T12:00:00Z", (one,)) for n, one in enumerate(records.values())]
    found = choose(opened("id: x\n").form, "", seen, [], key="", record="", user="").choices
    assert [words.partition(" · ")[0] for _, words in found][: len(records)] == [*records]


def test_what_the_sample_has_is_shown_as_it_would_be_typed(ann: Visitor):
    new = "/new-webhook"
    record = {
        "name": "Purchase",
        "user_id": "u1",
        "properties": {"n": "500", "gift": True, "to": {"a": [None]}},
    }
    page = ann.send(
        ann.get(new), new, "refresh", url="https://crm.example/x", events="Purchase",
        sample="own", record=json.dumps(record),
    )  # fmt: skip
    for index, name in enumerate(("n", "gift", "to", "gone")):
        page = ann.send(page, new, "add-key")
        row = {f"body_{index}_key": name, f"body_{index}_kind": "event", f"body_{index}_value": name}
        page = ann.send(page, new, "refresh", **row)
    hints = re.findall("(?:in the sample: [^<]*|the sample has none)(?=<)", page.text)
    assert [html.unescape(one) for one in hints] == [
        'in the sample: "500"', "in the sample: true", 'in the sample: {"a":[null]}', "the sample has none"
    ]  # fmt: skip


def test_somebody_else_has_saved_meanwhile(ann: Visitor):
    path = "/webhooks/pricing-interest/edit"
    file = ann.caller.config / "webhooks" / "pricing-interest.yaml"
    page, text = ann.get(path), file.read_text()
    file.write_text(text.replace("description: ", "description: Theirs. ") + "# theirs\n")
    refused = ann.send(page, path, "save", method="PUT", description="Mine.")
    assert refused.status == 412
    for words in ("When you opened it", "Yours", "On disk now", "Theirs."):
        assert words in refused.text
    assert "# theirs" in file.read_text()
    merged = ann.send(refused, path, "apply")
    assert merged.status == 200, merged.text
    assert "A change of the form was left out: `description` has changed since" in merged.text
    assert ann.send(merged, path, "save").status == 303
    assert "method: PUT" in file.read_text()
    assert "Theirs." in file.read_text()
    file.write_text(text)


def test_what_both_have_left_alone_is_kept_when_changes_are_applied_to_theirs(ann: Visitor):
    text = (
        "id: both\nenabled: false\ntrigger:\n  events: [Purchase]\n  where:\n"
        "    - event.properties.amount: {gte: 500}   # large\nrequest:\n  url: https://crm.example/a\n"
        "  headers: {X-Team: growth}\n  body: {who: Ada}\n"
    )
    path, file = "/webhooks/both/edit", ann.caller.config / "webhooks" / "both.yaml"
    file.write_text(text)
    page = ann.send(ann.get(path), path, "add-header")
    file.write_text(text.replace("/a", "/theirs"))
    refused = ann.send(page, path, "save", header_1_name="X-Mine", header_1_value="1")
    merged = ann.send(refused, path, "apply")
    assert ann.send(merged, path, "save").status == 303
    assert file.read_text() == text.replace("/a", "/theirs").replace("growth}", 'growth, X-Mine: "1"}')


WRONG = [
    ({"id": "welcome"}, "id"),
    ({"header_0_name": "Content-Length", "header_0_value": "5"}, "header-0-name"),
    ({"url": "https://{{ event.name }}.example/x"}, "url"),
    ({"url": "http://169.254.169.254/x"}, "url"),
    (
        {"header_0_name": "Authorization", "header_0_value": "${MISSING_NAME}", "enabled": "on"},
        "header-0-value",
    ),
    ({"body_0_key": "a", "body_0_kind": "template", "body_0_value": "{{ evnt.name }}"}, "body-0-value"),
    ({"where_0_path": "evnt.name", "where_0_value": "5"}, "where-0-path"),
    ({"body_0_key": "", "body_0_value": "5"}, "body-0-key"),
]


@pytest.mark.parametrize(("typed", "field"), WRONG)
def test_what_is_wrong_stands_beside_its_field_and_is_not_saved(ann: Visitor, typed, field):
    new = "/new-webhook"
    page = ann.send(ann.get(new), new, "add-header")
    page = ann.send(page, new, "add-key")
    page = ann.send(page, new, "add-condition", events="Purchase", url="https://a.example/x", id="wrong")
    page = ann.send(page, new, "refresh", **typed)
    refused = ann.send(page, new, "save")
    assert refused.status == 422, (refused.status, typed)
    assert field in problems_of(refused), (problems_of(refused), typed)
    assert not (ann.caller.config / "webhooks" / "wrong.yaml").exists()


def test_a_save_of_what_is_not_finished_leads_to_it(ann: Visitor):
    new = "/new-webhook"
    page = ann.send(
        ann.get(new), new, "add-condition", events="Purchase", url="https://a.example/x", id="half"
    )
    refused = ann.send(page, new, "save", where_0_path="amount")
    assert refused.status == 422
    assert '<li><a href="#where-0-value">' in refused.text
    assert 'id="where-0-value"' in refused.text


def test_a_save_of_nothing_says_all_that_is_missing(ann: Visitor):
    refused = ann.send(ann.get("/new-webhook"), "/new-webhook", "save")
    assert refused.status == 422
    told = re.findall('<li><a href="#([a-z]+)">', refused.text)
    assert told == ["id", "url", "events"]


def test_a_save_of_what_is_no_yaml_leads_to_the_place(ann: Visitor):
    path = "/webhooks/welcome/edit"
    refused = ann.send(ann.get(path), path, "save", yaml="id: welcome\r\ntrigger: {events: [a]\r\n")
    assert refused.status == 422
    assert 'data-line="2" data-column="10">line 2, column 10</a> of the YAML' in refused.text


def test_what_check_would_warn_of_is_told_before_and_after_it_is_saved(ann: Visitor):
    new, told = "/new-webhook", "&#34;abc&#34; is a text"
    page = ann.send(
        ann.get(new), new, "add-condition", events="Purchase", url="https://a.example/x", id="odd"
    )
    typed = {"where_0_path": "event.properties.amount", "where_0_op": "gte", "where_0_value": "abc"}
    page = ann.send(page, new, "refresh", **typed)
    assert told in page.text
    saved = ann.send(page, new, "save")
    assert saved.headers["location"] == "/webhooks/odd/saved"
    assert told in ann.get("/webhooks/odd/saved").text
    assert "gte: abc" in _text(ann, "odd")


def test_a_name_that_is_nearly_a_known_one_is_told_at_its_field(ann: Visitor):
    new = "/new-webhook"
    page = ann.get(new)
    for typed, told in (("Pricing Pag", "Pricing Page"), ("Refund, pricing page", "Pricing Page")):
        name = typed.rpartition(", ")[2]
        words = f"no event or label is known as `{name}`: did you mean `{told}`?"
        answer = ann.send(page, new, "refresh", events=typed)
        assert f'id="events-told">{html.escape(words)}' in answer.text
    for typed in ("Pricing Page", "Refund", "*", '"'):
        assert "is known as" not in ann.send(page, new, "refresh", events=typed).text


def test_a_property_that_is_nearly_one_that_was_seen_is_told_at_its_field():
    form = opened(
        "id: x\ntrigger: {events: [A], where: [{event.properties.amuont: 5}, {event.properties.other: 1}]}\n"
        'request: {url: x, body: {plan: "{{ user.properties.paln }}", a: "{{ event.properties.amount }}"}}\n'
    ).form
    offered = Offers(
        event_paths=[("amount", "number")], user_paths=[("plan", "text"), ("plans[0].a", "text")]
    )
    assert mistyped(form, offered) == {
        "where-0-path": "no event is known to have `amuont`: did you mean `amount`?",
        "body-0-value": "no user is known to have `paln`: did you mean `plan`?",
    }


def test_of_many_unknown_names_few_are_compared(ann: Visitor, monkeypatch: pytest.MonkeyPatch):
    compared: list[str] = []
    monkeypatch.setattr(
        "pipeline.console.pages.editing.look.did_you_mean", lambda name, known: compared.append(name)
    )
    new, names = "/new-webhook", [f"Z{number}" for number in range(40)]
    ann.send(ann.get(new), new, "refresh", events=", ".join(names))
    assert compared == names[:5]


def test_markup_is_text_wherever_it_is_typed(ann: Visitor):
    new, evil = "/new-webhook", "\"'><script>alert(1)</script>{{ 7 }}{% x %}&amp;"
    page = ann.send(ann.send(ann.get(new), new, "add-header"), new, "add-key")
    typed = dict.fromkeys(("url", "id", "description", "events", "header_0_name", "header_0_value"), evil)
    page = ann.send(page, new, "refresh", body_0_key=evil, body_0_value=evil, record=evil, user=evil, **typed)
    assert page.status == 200
    assert "<script>alert" not in page.text
    fields = dict(fields_of(page))
    assert fields["url"] == fields["header-0-value"] == fields["body-0-key"] == evil


def test_a_page_that_was_sent_in_part_or_otherwise_is_refused(ann: Visitor):
    page = ann.get("/new-webhook")
    for field in (("nonsense", "1"), ("body-0-nonsense", "1"), ("etag", "x")):
        assert ann.post("/new-webhook", [*fields_of(page), field]).status == 400, field
    for base in ("{", "[" * 100_000):
        broken = [(name, base if name == "base" else value) for name, value in fields_of(page)]
        assert ann.post("/new-webhook", broken).status == 400
    assert ann.get("/webhooks/nowhere/edit").status == 404
    assert ann.get("/new-webhook?from=nowhere").status == 400
    assert ann.get("/new-webhook?copy=nowhere").status == 404


def test_a_copy_and_an_example_begin_under_a_free_id_and_not_enabled(ann: Visitor):
    for query, id in (("copy=welcome", "welcome-2"), ("from=slack", "slack")):
        fields = dict(fields_of(ann.get(f"/new-webhook?{query}")))
        assert (fields["id"], fields["enabled"]) == (id, "")


def test_an_id_is_proposed_until_somebody_gives_one(ann: Visitor):
    new = "/new-webhook"
    page = ann.send(ann.get(new), new, "refresh", url="https://hooks.slack.com/x", events="Order Placed")
    assert dict(fields_of(page))["id"] == "slack-order-placed"
    page = ann.send(page, new, "refresh", events="Refund")
    assert dict(fields_of(page))["id"] == "slack-refund"
    page = ann.send(page, new, "refresh", id="mine")
    page = ann.send(page, new, "refresh", events="Other")
    assert dict(fields_of(page))["id"] == "mine"


BROKEN = [
    ("  events:", "  evnts:"),
    ("{gte: 500}", "{gtee: 500}"),
    ("{{ event.properties.order_id }}", "{{ evnt.name }}"),
    ("https://", "https://{{ event.name }}."),
    ("  body:\n", "  headers: {Content-Length: '5'}\n  body:\n"),
    ("id: big-purchase", "id: welcome"),
    ("  body:\n", "  headers: {A: '${MISSING_NAME}'}\n  body:\n"),
    ("  url: ", "  url: http://169.254.169.254/x\n  # "),
    ("  body:\n", "  body:\n    order: 1\n"),
    ("  events:", "\tevents:"),
]


@pytest.mark.parametrize(("old", "new"), BROKEN)
def test_what_is_wrong_with_the_yaml_is_what_check_finds_at_the_same_place(ann: Visitor, old, new):
    config, path = ann.caller.config, "/webhooks/big-purchase/edit"
    page = ann.get(path)
    text = _text(ann, "big-purchase").replace("${RECEIVER:-http://127.0.0.1:8765}", "https://a.example")
    broken = text.replace(old, new, 1)
    assert broken != text
    file = "webhooks/big-purchase.yaml"
    found = check(config, unsaved={file: broken}).findings
    wanted = {(one.line, one.column, one.message) for one in found if one.file == file}
    others = [one for one in found if one.file != file and not one.warning]
    assert wanted or others
    for do, status in (("refresh", 200), ("save", 422)):
        answer = ann.send(page, path, do, yaml=broken.replace("\n", "\r\n"))
        assert answer.status == status
        shown = re.findall(r'data-line="(\d+)" data-column="(\d+)".*?data-message="([^"]*)"', answer.text)
        assert {(int(line), int(column), html.unescape(words)) for line, column, words in shown} == wanted
        for one in others:
            assert f"{one.file}:{one.line}:{one.column}" in answer.text
    assert _text(ann, "big-purchase") == SHIPPED["big-purchase"].read_text()


def test_rows_are_moved_without_scripts(ann: Visitor):
    path = "/webhooks/big-purchase/edit"
    page = ann.get(path)
    before = dict(fields_of(page))
    keys = [before["body-0-key"], before["body-1-key"]]
    page = ann.send(page, path, "move-body-0-down")
    after = dict(fields_of(page))
    assert [after["body-0-key"], after["body-1-key"]] == keys[::-1]
    assert sorted(after["yaml"].splitlines()) == sorted(before["yaml"].splitlines())
    held = re.search(r'value="(move-body-\d+-down)"[^>]* autofocus', page.text)
    assert held is not None
    assert held[1] == "move-body-1-down"  # who presses it again moves the same row
    page = ann.send(page, path, "move-body-1-up")
    assert dict(fields_of(page))["yaml"] == before["yaml"]
    assert ann.send(page, path, "move-body-99-up").status == 400


def test_what_the_owner_hides_is_shown_nowhere(tmp_path: Path):
    user = "{id: u1, properties: {email: ann@shop.example}}"
    case = f"cases: [{{name: a, users: [{user}], events: [{{name: Purchase}}], expect: none}}]"
    text = (
        "id: crm\ntrigger: {events: [Purchase], where: [{user.properties.email: {contains: shop}}, "
        "{any: [{event.name: Purchase}, {user.properties.email: ANN@shop.example}]}]}\n"
        'request: {url: https://crm.example, body: {to: "{{ user.properties.email }}"}}\n'
    )
    with served(tmp_path, {"crm": text, "crm.test": case}, mask=["user.properties.email"]) as caller:
        page = Visitor.of(caller).get("/webhooks/crm/edit").text
        assert "&#34;to&#34;:&#34;•••&#34;" in page
        assert "ann@shop" not in page
        assert "each letter counts" not in page


NAUGHTY = [
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "' onfocus=alert(1) autofocus='",
    "</textarea><script>alert(1)</script>", "{{7*7}}", "{% raw %}", "{{ config }}", "${jndi:ldap://x}",
    "$(id)", "`id`", "../../../../etc/passwd", "%2e%2e%2f", "NULL", "null", "~", "yes", "0x1F", "1e999", "-1",
    "010", "NaN", "Infinity", "\u202egnp.exe", "\u200b\u2060", "\ufeffbom", "Z\u0335a\u0337l\u0338g\u0336o",
    "表ポあA鷗", "👩‍👩‍👧‍👦🏳️‍🌈", "' OR '1'='1", "; DROP TABLE users", "\\\\host\\share", "a\tb", "- item",
    "key: value", "# comment", "&anchor", "*alias", "!!python/object:os.system", "|", ">", "%", "@", "`", "[",
    "{", "]", "}", ",", "?", ":", "''", '""', "x" * 5_000,
]  # fmt: skip
"""Texts that break pages, templates, shells and YAML (after the Big List of Naughty Strings)."""


FIELDS = (
    "url", "id", "description", "events", "header_0_name", "header_0_value", "body_0_key", "body_0_value",
)  # fmt: skip


def test_whatever_is_typed_is_shown_as_it_was_typed_and_runs_nowhere(ann: Visitor):
    new = "/new-webhook"
    page = ann.send(ann.get(new), new, "add-header", url="https://crm.example/hook", events="Purchase")
    for text in NAUGHTY:
        said = ann.send(page, new, "refresh", **dict.fromkeys(FIELDS, text))
        assert said.status in (200, 422), (text, said.text[:500])
        shown = dict(fields_of(said))
        for field in FIELDS:
            value = shown.get(field.replace("_", "-"))
            assert value is None or value.strip() == text.strip(), (field, text)
        assert [one for one in _markup(said.text) if one[0] == "img" or "on" in one[1]] == [], text
        assert "<script>alert" not in said.text


def _markup(text: str) -> list[tuple[str, set[str]]]:
    """Return the elements of a page, each with what its attributes' names begin with."""
    found: list[tuple[str, set[str]]] = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attrs: found.append((tag, {name[:2] for name, _ in attrs}))  # type: ignore[method-assign]  # all that is asked of it
    parser.feed(text)
    return found
