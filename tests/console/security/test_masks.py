"""What `console.mask` hides is not found out by asking about it either."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlencode

import pytest

from pipeline.config.yaml.loader import parse_yaml
from pipeline.console.security.masks import HIDDEN, Mask
from tests.kit.machine.kept import keep, letter
from tests.kit.web.pages import served

MASK = ["user.properties.email", "event.properties['Card Number']"]


@pytest.mark.parametrize(
    ("condition", "asks"),
    [
        ("user.properties.email: {starts_with: a}", True),
        ("user.properties['email']: {exists: true}", True),
        ("event.context.traits.EMAIL: x", True),  # it is hidden under any shape, in any letters
        ("event.properties['Card Number']: {regex: ^4}", True),
        ("any: [{event.properties.amount: 5}, {not: {user.before.email: x}}]", True),
        ("event.properties.people: {any_element: {email: x}}", True),
        ("event.properties.to: {eq: {path: user.properties.email}}", True),
        ("user.properties: {eq: {plan: pro, email: x}}", True),
        ("event.properties[user.properties.which]: x", True),  # leads to whatever the user says
        ("user.properties.plan: {in: [email, pro]}", False),
        ("event.properties.items[*].sku: x", False),
        ("event.properties.email_sent: true", False),
        ("label: Big", False),
    ],
)
def test_a_condition_about_what_is_hidden_is_known_for_one(condition: str, asks: bool):
    root = parse_yaml(condition, "where").root
    assert root is not None
    assert bool(Mask(MASK).asked_by(root.value)) is asks
    assert Mask(()).asked_by(root.value) is None


@pytest.mark.parametrize("value", ["ann@shop.example", 4111111111111111, 52.5200066])
def test_a_value_is_hidden_also_where_a_template_has_copied_it(value: str | int | float):
    shown = {
        "event": {"properties": {"Email": value, "amount": 499.5}},
        "sent": [{"to": value, "total": 499.5}, f"to {value}: 499.5", f"https://h.example/{value}?n=3"],
    }
    assert Mask(MASK).applied(shown) == {
        "event": {"properties": {"Email": HIDDEN, "amount": 499.5}},
        "sent": [
            {"to": HIDDEN, "total": 499.5},
            f"to {HIDDEN}: 499.5",
            f"https://h.example/{HIDDEN}?n=3",
        ],
    }


def test_a_tap_does_not_answer_about_it(tmp_path: Path):
    with served(tmp_path, mask=MASK) as caller:
        where = urlencode({"where": "user.properties.email: {starts_with: a}"})
        for path in ("/api/v1/tap", "/live", "/live/rows"):
            said = caller.ask("GET", f"{path}?{where}", token="editor")
            assert (said.status, "asks about what this console hides" in said.text) == (400, True), path
        where = urlencode({"where": "user.properties.plan: pro"})
        assert caller.ask("GET", f"/live?{where}", token="editor").status == 200


def test_a_text_is_sought_in_what_is_shown(tmp_path: Path):
    body = b'{"email": "ann@shop.example", "plan": "pro", "to": "ann@shop.example"}'
    keep(tmp_path / "state", [letter("crm", 1, body=body), letter("crm", 2, body=b'{"plan": "pro"}')])
    with served(tmp_path, mask=MASK) as caller:
        for text, count in (("ann@", 0), ("shop.ex", 0), ('"plan": "PRO"', 2), ("email", 1)):
            found = caller.ask("GET", f"/api/v1/dead-letters?{urlencode({'text': text})}", token="editor")
            assert len(found.json["dead_letters"]) == count, text
