"""The sample webhooks, from their files to the requests that must come out."""

from __future__ import annotations

import shutil
from typing import Any

import pytest

from pipeline.compile.snapshot import Snapshot, compile_config
from pipeline.config.files import read_config
from pipeline.job.replay import Replay
from pipeline.job.story import Match
from pipeline.job.trials.preview import Preview
from pipeline.job.trials.rehearse import Rehearsal
from pipeline.model.records import Event, Origin, PropertyUpdate
from pipeline.model.times import parse_time
from tests.kit.streams.samples import shared_data, webhook_cases, webhook_folders

ENV = {"SLACK_PATH": "T1/B2/x", "PIXEL": "999"}
SETTINGS = ("${SLACK_PATH}", "T1/B2/x"), ("${PIXEL}", "999")


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    base = tmp_path_factory.mktemp("config")
    for folder in webhook_folders():
        shutil.copytree(folder, base / "webhooks", dirs_exist_ok=True)
    report = compile_config(read_config(base, environ=ENV), secrets=None)
    # One webhook of each folder has an `ne`; Discord's URL holds its token.
    told = [finding.code for finding in report.findings if finding.code != "plain-secret"]
    assert told == ["ne-holds-for-missing"] * len(webhook_folders())
    return report.require()


def fire(snapshot: Snapshot, row: dict[str, Any]) -> list[Match]:
    """Let the event happen to the user as known; a change is the update that made it so."""
    run = Rehearsal(snapshot, Replay(webhooks=frozenset({row["webhook"]})))
    user, event = row["user"], row["event"]
    time = parse_time(event["time"])
    changing = event["kind"] == "update"
    ids = (event["user_id"], None)
    known = dict(user["properties"])
    if changing:
        known |= row["before"]
    run.know(update(ids, time, known, None))
    if changing:
        return run.rehearse(update(ids, time, event["properties"], event["id"]))
    record = Event(
        event["id"], event["name"], event["kind"], *ids, time, None, event["source"], event["properties"],
        event["context"], Origin("sample", 0),
    )  # fmt: skip
    return run.rehearse(record)


def update(
    ids: tuple[str | None, str | None], time: int, set_: dict[str, Any], id: str | None
) -> PropertyUpdate:
    return PropertyUpdate(id, *ids, time, time, "web", set_, {}, (), Origin("sample", 0))


@pytest.mark.parametrize("row", webhook_cases(), ids=lambda row: f"{row['webhook']}: {row['case']}")
def test_a_sample_webhook_makes_the_expected_request(snapshot: Snapshot, row: dict[str, Any]) -> None:
    expect = row["expect"]
    fired = fire(snapshot, row)
    if "no_match" in expect:
        assert fired == []
        return
    (one,) = fired
    if "dead_letter" in expect:
        assert one.request is None
        assert expect["dead_letter"] in one.reason
        return
    assert one.request is not None, one.reason
    assert one.request.method == expect["method"]
    shown = Preview.of(one)
    url = shown.url
    for name, value in SETTINGS:
        url = url.replace(name, value)
    assert url == expect["url"]
    if isinstance(expect["body"], str):
        assert (shown.body or "") == expect["body"]
        return
    assert shaped(shown.body, expect["body"]) == expect["body"]


def shaped(found: Any, expected: Any) -> Any:
    """Where `{{ event }}` or `{{ user }}` is the value, only the keys given are compared."""
    if isinstance(found, dict) and isinstance(expected, dict):
        if {"id", "name", "kind"} <= expected.keys():
            found = {key: value for key, value in found.items() if key in expected}
        return {key: shaped(value, expected.get(key)) for key, value in found.items()}
    if isinstance(found, list) and isinstance(expected, list) and len(found) == len(expected):
        return [shaped(*pair) for pair in zip(found, expected, strict=True)]
    return found


def test_all_26_samples_are_tried() -> None:
    public = shared_data()
    assert len({row["webhook"] for row in webhook_cases() if row["file"].is_relative_to(public)}) == 26
