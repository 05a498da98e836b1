"""The sample webhooks fire on exactly the sample events that they should."""

from __future__ import annotations

from typing import Any

import yaml

from pipeline.match.index import TriggerIndex
from pipeline.match.triggers import Trigger
from pipeline.match.verdicts import explain_trigger
from pipeline.model.records import Event, User
from pipeline.model.times import parse_time
from tests.kit.streams.matching import trigger_of
from tests.kit.streams.records import event
from tests.kit.streams.samples import webhook_cases, webhook_folders


def sample_triggers() -> dict[str, Trigger]:
    folders = webhook_folders()
    lists = {
        f"lists/{path.name}": path.read_text("utf-8").split()
        for folder in folders
        for path in folder.glob("lists/*")
    }
    files = [path for folder in folders for path in sorted(folder.glob("*.yaml"))]
    webhooks = [yaml.safe_load(path.read_text("utf-8")) for path in files]
    return {webhook["id"]: trigger_of(webhook, webhook["id"], lists=lists) for webhook in webhooks}


def records(case: dict[str, Any]) -> tuple[Event, User]:
    given, known = case["event"], case["user"]
    made = event(
        given["name"],
        given["properties"],
        **{name: given[name] for name in ("id", "kind", "user_id", "source", "context")},
        time=parse_time(given["time"]),
    )
    return made, User(known["id"], None, known["identified"], known["properties"], case.get("before"))


def test_every_sample_case_fires_where_a_request_or_a_dead_letter_is_expected() -> None:
    triggers = sample_triggers()
    names = list(triggers)
    index = TriggerIndex(list(triggers.values()))
    seen = set()
    for case in webhook_cases():
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
