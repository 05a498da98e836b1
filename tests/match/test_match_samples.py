"""The sample webhooks fire on exactly the sample events that they should."""

from __future__ import annotations

import json
from typing import Any

import yaml

from pipeline.match.index import TriggerIndex
from pipeline.match.triggers import Trigger
from pipeline.match.verdicts import explain_trigger
from pipeline.model.records import Event, Origin, User
from pipeline.model.times import parse_time
from tests.kit.matching import trigger_of
from tests.kit.samples import shared_data


def sample_triggers() -> dict[str, Trigger]:
    folder = shared_data() / "webhooks"
    lists = {f"lists/{path.name}": path.read_text("utf-8").split() for path in (folder / "lists").iterdir()}
    webhooks = [yaml.safe_load(path.read_text("utf-8")) for path in sorted(folder.glob("*.yaml"))]
    return {
        webhook["id"]: trigger_of(webhook, webhook["id"], lists=lists, vars=webhook.get("vars"))
        for webhook in webhooks
    }


def records(case: dict[str, Any]) -> tuple[Event, User]:
    given, known = case["event"], case["user"]
    event = Event(
        id=given["id"],
        name=given["name"],
        kind=given["kind"],
        user_id=given["user_id"],
        anonymous_id=None,
        time=parse_time(given["time"]),
        received_at=None,
        source=given["source"],
        properties=given["properties"],
        context=given["context"],
        origin=Origin("sample", 0),
    )
    return event, User(known["id"], None, known["identified"], known["properties"], case.get("before"))


def test_every_sample_case_fires_where_a_request_or_a_dead_letter_is_expected() -> None:
    triggers = sample_triggers()
    names = list(triggers)
    index = TriggerIndex(list(triggers.values()))
    lines = (shared_data() / "webhooks" / "expected.jsonl").read_text("utf-8").splitlines()
    seen = set()
    for line in lines:
        case = json.loads(line)
        trigger, (event, user) = triggers[case["webhook"]], records(case)
        expected = "no_match" not in case["expect"]
        assert trigger.holds(event, user) is expected, case["webhook"]
        findings = explain_trigger(trigger, event, user)
        assert all(one.holds for one in findings if one.depth == 0) is expected
        if trigger.changes is None and expected:
            assert names.index(case["webhook"]) in index.select(event)
        seen.add((case["webhook"], expected))
    assert {webhook for webhook, _ in seen} == set(triggers)
    assert any(not expected for _, expected in seen)
