"""New Webhook and Edit, as a browser without scripts sends them."""

from __future__ import annotations

import shutil

import pytest

from tests.kit.pages import served
from tests.kit.pages_sent import Visitor, fields_of, problems_of
from tests.kit.samples import ROOT


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


def test_the_six_steps_without_scripts(ann: Visitor):
    new = "/webhooks/new"
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
        '    nested: {amount: "{{ event.properties.amount }}"}\n'
    )
    line = ann.caller.audit[-1]
    assert (line["action"], line["target"], line["result"]) == (
        "create",
        "webhooks/crm-purchase.yaml",
        "done",
    )
