"""Files that change beneath an open page, or are faulty: each can be opened, and nothing typed is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kit.web.pages import OURS, WEBHOOK, served
from tests.kit.web.pages_sent import Visitor, fields_of

EDIT = "/webhooks/crm/edit"


@pytest.fixture(scope="module")
def visitor(tmp_path_factory: pytest.TempPathFactory):
    with served(tmp_path_factory.mktemp("changing")) as caller:
        yield Visitor.of(caller)


@pytest.fixture
def ann(visitor: Visitor):
    """Who edits a config of one webhook."""
    for file in (visitor.caller.config / "webhooks").iterdir():
        file.unlink()
    _file(visitor).write_text(WEBHOOK)
    return visitor


def _file(ann: Visitor, name: str = "crm") -> Path:
    return ann.caller.config / "webhooks" / f"{name}.yaml"


def test_a_webhook_whose_file_is_gone_is_saved_anew_after_that_was_said(ann: Visitor):
    page = ann.get(EDIT)
    _file(ann).unlink()
    told = ann.send(page, EDIT, "save", description="mine")
    assert told.status == 412
    assert "The file of crm is gone" in told.text
    assert not _file(ann).exists()
    assert dict(fields_of(told))["description"] == "mine"
    assert ann.send(told, EDIT, "refresh").status == 200
    saved = ann.send(told, EDIT, "save")
    assert (saved.status, saved.headers["location"]) == (303, "/webhooks/crm/saved")
    assert "description: mine" in _file(ann).read_text()


def test_a_file_that_is_there_again_has_not_been_lost(ann: Visitor):
    page = ann.get(EDIT)
    before = _file(ann).read_text()
    _file(ann).unlink()
    page = ann.send(page, EDIT, "refresh", description="mine")
    assert "The file of crm is gone" in page.text
    _file(ann).write_text(before)  # an editor that writes so
    assert ann.send(page, EDIT, "save").status == 303
    assert "description: mine" in _file(ann).read_text()


def test_a_file_that_was_renamed_is_saved_where_it_is(ann: Visitor):
    page = ann.get(EDIT)
    _file(ann).rename(_file(ann, "other"))
    assert ann.send(page, EDIT, "save", description="mine").status == 303
    assert "description: mine" in _file(ann, "other").read_text()
    assert not _file(ann).exists()


def test_who_changes_the_id_is_led_to_the_webhook_of_that_id(ann: Visitor):
    saved = ann.send(ann.get(EDIT), EDIT, "save", id="crm-two")
    assert saved.headers["location"] == "/webhooks/crm-two/saved"
    assert 'href="/webhooks/crm-two/edit"' in ann.get("/webhooks/crm-two/saved").text


FAULTY = {
    "no YAML": ("id: crm # mine\ntrigger: {events: [A\n", "crm"),
    "no id": ("trigger: {events: [A]}\nrequest: {url: 'https://x.example'}\n", ""),
    "a wrong id": ("id: 'ä /<b>'\ntrigger: {events: [A]}\nrequest: {url: 'https://x.example'}\n", ""),
    "another's id": (WEBHOOK.replace("id: crm", "id: taken"), ""),
    "a list": ("- a\n", ""),
    "nothing": ("", ""),
}


@pytest.mark.parametrize("name", FAULTY)
def test_each_file_can_be_found_and_mended_whatever_is_wrong_with_it(ann: Visitor, name: str):
    text, id = FAULTY[name]
    _file(ann, "a-taken").write_text(WEBHOOK.replace("id: crm", "id: taken"))
    _file(ann).write_text(text)
    named = id or "webhooks/crm.yaml"
    listed = {
        row["id"]: row
        for row in ann.caller.ask("GET", "/webhooks?format=json", token="viewer").json["webhooks"]
    }
    assert {*listed} == {"taken", named}
    assert (listed[named]["state"], listed[named]["all_events"]) == ("broken", False)
    own = f"/webhooks/{named.replace('/', '%2F')}"
    assert f'href="{own}"' in ann.get("/webhooks").text
    assert "Its file has " in ann.get(own).text
    assert f'href="{own}/edit"' in ann.get(own).text
    page = ann.get(f"{own}/edit")
    assert page.status == 200
    saved = ann.send(page, f"{own}/edit", "save", yaml=WEBHOOK)
    assert (saved.status, saved.headers.get("location")) == (303, "/webhooks/crm/saved")
    assert _file(ann).read_text() == WEBHOOK
    assert ann.get("/webhooks/webhooks%2Fcrm.yaml").status == 200  # by its file, too, as Config leads there


def test_a_file_that_is_no_text_is_listed_and_stands_in_nobodys_way(ann: Visitor):
    _file(ann, "_base").write_bytes(b"description: \xfcber\n")
    _file(ann, "umlaut").write_bytes(b"id: umlaut\n# \xfc\n")
    assert "webhooks/umlaut.yaml" in ann.get("/webhooks").text
    told = ann.caller.ask("GET", "/api/v1/webhooks/webhooks%2Fumlaut.yaml", token="editor")
    assert told.status == 422
    assert "the file is not UTF-8" in told.text
    page = ann.send(ann.get(EDIT), EDIT, "refresh", description="mine")
    assert page.status == 200
    assert "ended while it worked" not in page.text


@pytest.mark.parametrize(("coding", "read_as"), [("latin-1", "Windows-1252"), ("utf-16", "UTF-16")])
def test_a_file_that_is_not_in_utf8_is_mended(ann: Visitor, coding: str, read_as: str):
    text = WEBHOOK.replace("id: crm", "id: crm\ndescription: Grün")
    _file(ann).write_bytes(text.encode(coding))
    own = "/webhooks/webhooks%2Fcrm.yaml/edit"
    assert ann.get(own.removesuffix("/edit")).status == 200
    assert ann.get(own.replace("edit", "delete")).status == 200
    page = ann.get(own)
    assert page.status == 200
    assert f"read as {read_as}" in page.text
    assert "Grün" in page.text
    again = ann.send(page, own, "refresh", description="Grün und blau")
    assert f"read as {read_as}" in again.text
    saved = ann.send(again, own, "save")
    assert saved.status == 303
    assert _file(ann).read_text() == text.replace("Grün", "Grün und blau")


def test_what_has_no_id_takes_no_orders(ann: Visitor):
    _file(ann, "b").write_text("- a\n")
    said = ann.post("/webhooks/orders?format=json", [("do", "pause"), ("id", "webhooks/b.yaml")])
    assert said.status == 400
    order = "/api/v1/webhooks/webhooks%2Fb.yaml/pause"
    assert ann.caller.ask("POST", order, token="operator").status == 404


def test_a_large_file_is_edited(ann: Visitor):
    _file(ann).write_text(WEBHOOK + "# " + "ü" * 300_000 + "\n")
    saved = ann.send(ann.get(EDIT), EDIT, "save", description="mine")
    assert saved.status == 303
    assert "description: mine" in _file(ann).read_text()


def test_a_body_of_many_keys_is_edited(ann: Visitor):
    keys = "".join(f"    key_{n}: {n}\n" for n in range(300))
    file = ann.caller.config / "webhooks" / "many.yaml"
    file.write_text(
        f"id: many\ntrigger: {{events: [A]}}\nrequest:\n  url: https://a.example/\n  body:\n{keys}"
    )
    page = ann.get("/webhooks/many/edit")
    assert ann.send(page, "/webhooks/many/edit", "save", body_299_value="new").status == 303
    assert file.read_text().endswith("key_298: 298\n    key_299: new\n")
    assert ann.post("/webhooks/many/edit", [("x", "")] * 50_001).status == 400


@pytest.mark.parametrize("name", ["new", "orders", "selection", "A.b_c-9", "..a", "edit"])
def test_whatever_an_id_may_be_the_webhook_has_its_pages(ann: Visitor, name: str):
    _file(ann).write_text(WEBHOOK.replace("id: crm", f"id: {name}"))
    own = f"/webhooks/{name}"
    assert f"<h1>{name}</h1>" in ann.get(own).text
    assert f"<h1>Edit {name}</h1>" in ann.get(f"{own}/edit").text
    saved = ann.send(ann.get(f"{own}/edit"), f"{own}/edit", "save", description="mine")
    assert saved.headers["location"] == f"{own}/saved"
    assert ann.get(f"/new-webhook?copy={name}").status == 200


def test_what_was_typed_is_kept_where_a_log_in_has_ended(ann: Visitor):
    page = ann.get(EDIT)
    cookie, ann.cookie = ann.cookie, ""
    told = ann.send(page, EDIT, "save", description='"mine" & <b>')
    assert told.status == 401
    assert "log in in another tab" in told.text
    ann.cookie = cookie
    assert ann.post(EDIT, fields_of(told)).status == 303
    assert "mine" in _file(ann).read_text()


def test_what_was_typed_is_kept_where_nothing_can_be_written(ann: Visitor):
    page = ann.get(EDIT)
    audit = ann.caller.console.audit.path
    audit.unlink()
    audit.mkdir()
    told = ann.send(page, EDIT, "save", description="mine")
    assert told.status == 503
    audit.rmdir()
    assert ann.post(EDIT, fields_of(told)).status == 303


def test_a_script_that_asks_in_vain_is_told_so_in_words(ann: Visitor):
    page = ann.get(EDIT)
    for method, path in (("POST", EDIT), ("GET", "/")):
        said = ann.caller.ask(method, path, {**OURS, "hx-request": "true"}, dict(fields_of(page)))
        assert said.status == 401
        assert said.headers["content-type"].startswith("text/plain")
        assert said.text.startswith("You are logged out.")


def test_two_consoles_of_one_machine_log_nobody_out_of_each_other(ann: Visitor, tmp_path: Path):
    with served(tmp_path / "other") as other:
        cookie = Visitor.of(other).cookie
        both = f"{ann.cookie}; {cookie}"
        assert cookie.partition("=")[0] != ann.cookie.partition("=")[0]
        assert ann.caller.ask("GET", "/", cookie=both).status == 200
        assert other.ask("GET", "/", cookie=both).status == 200
