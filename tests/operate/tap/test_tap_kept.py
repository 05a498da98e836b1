"""What a tap shows, kept: as a recording that a replay takes, as a test that holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from pipeline.job.tap.wanted import Wanted
from pipeline.model.errors import UsageError
from pipeline.operate.cases.seen import as_yaml, case_of
from pipeline.operate.tap.recording import TapRecording
from pipeline.operate.trials.cases import run_tests
from tests.kit.programs.inprocess import run_flow
from tests.kit.taps import job_of, tapped

WHOLE = Wanted(frozenset({"matched", "unmatched"}), payload="full")
CHANGES = """
trigger: {changes: [plan]}
request:
  url: https://crm.example/changes
  body: {was: "{{ user.before.plan | default: 'none' }}", now: "{{ user.properties.plan }}"}
"""
HOSTILE = {
    "type": "event",
    "name": "Purchase",
    "user_id": "yes",
    "id": "007",
    "properties": {
        "amount": 500,
        "no": "1e3",
        "- a: {b": "#c\r\n\x1b[31m",
        "tags": [[], {}, "~"],
        "at": "2026-01-01",
    },
}
PRO = {"type": "user", "user_id": "yes", "set": {"plan": "pro", "since": None}}


def kept(path: Path, lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the lines of a recording of these."""
    recording = TapRecording(path)
    for line in lines:
        recording.add(line)
    recording.close()
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def test_a_recording_gives_the_same_requests_again(tmp_path: Path):
    folder = job_of(tmp_path, "all", "big")
    (folder / "config" / "webhooks" / "changes.yaml").write_text(f"id: changes{CHANGES}")
    (lines,) = tapped(folder, Wanted(frozenset({"matched"}), payload="full"))
    recorded = kept(folder / "again.rec.jsonl", lines)
    live, _ = run_flow(folder, state="live")
    again, _ = run_flow(folder, state="again", stream="again.rec.jsonl")
    # Of an envelope the second member, without an id, is read from a line of its own here.
    by_id = {message for message, _, _ in live if message in {one[0] for one in again}}
    assert len(by_id) >= 6
    assert sorted(one for one in again if one[0] in by_id) == sorted(one for one in live if one[0] in by_id)
    assert len(again) == len(live)
    origins = [(line["source"], line["offset"]) for line in recorded]
    assert len(origins) == len(set(origins))


def test_a_recording_is_the_owners_and_is_not_written_over(tmp_path: Path):
    path = tmp_path / "x.rec.jsonl"
    kept(path, [])
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(UsageError, match="there is such a file already"):
        TapRecording(path)
    with pytest.raises(UsageError, match=r"call it NAME\.rec\.jsonl"):
        TapRecording(tmp_path / "x.jsonl")


def test_an_update_stands_before_events_only_where_something_else_is_known(tmp_path: Path):
    stream = [
        PRO,
        {**HOSTILE, "id": "1"},
        {**HOSTILE, "id": "2"},
        {**PRO, "set": {"plan": "x"}, "unset": ["since"]},
    ]
    folder = job_of(tmp_path, "all", stream=[*stream, {**HOSTILE, "id": "3"}])
    (lines,) = tapped(folder, Wanted(payload="full"))
    values = [line["value"] for line in kept(folder / "x.rec.jsonl", lines)]
    assert [value.get("id") or value["set"] for value in values] == [
        PRO["set"], "1", "2", {"plan": "x"}, "3",
    ]  # fmt: skip
    assert values[3]["unset"] == ["since"]


@pytest.mark.parametrize("webhook", ["big", "broken"])
def test_cases_hold(tmp_path: Path, webhook: str):
    folder = job_of(tmp_path, webhook, stream=[PRO, HOSTILE, {**HOSTILE, "properties": {"amount": 1}}])
    (lines,) = tapped(folder, WHOLE)
    assert len(hold(folder, webhook, lines)) == 2


def test_a_case_of_a_change_of_properties_holds(tmp_path: Path):
    stream = [{"type": "user", "user_id": "u1", "set": {"plan": plan}} for plan in ("free", "pro", None)]
    folder = job_of(tmp_path, "all", stream=stream)
    (folder / "config" / "webhooks" / "changes.yaml").write_text(f"id: changes{CHANGES}")
    (lines,) = tapped(folder, Wanted(webhooks=("changes",), payload="full"))
    assert len(hold(folder, "changes", lines)) == 3


def hold(folder: Path, webhook: str, lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Write the lines as a test of the webhook and run it; return the cases."""
    cases = [case for line in lines if (case := case_of(line)) is not None]
    path = folder / "config" / "webhooks" / f"{webhook}.test.yaml"
    path.write_text("cases:\n" + "".join(map(as_yaml, cases)))
    results = run_tests(folder / "config")
    assert [result.failures for result in results] == [[]] * len(cases), path.read_text()
    return cases


def test_what_shows_no_payload_gives_nothing(tmp_path: Path):
    sent = {"stage": "sent", "at": "2026-01-01T00:00:00.000Z", "webhook": "w"}
    assert case_of(sent) is None
    assert kept(tmp_path / "x.rec.jsonl", [sent]) == []
