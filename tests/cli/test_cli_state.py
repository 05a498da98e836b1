"""What the verbs tell of a state directory, beside a running job or after one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.model.records import Origin
from pipeline.outbox.codec import DeadLetter, delivery_key, pack_dead, pack_number
from pipeline.outbox.handover import Progress, Request
from pipeline.runtime.state.directory import StateDirectory
from pipeline.runtime.state.recovery import prepare_recovery
from pipeline.store.rows import Table
from pipeline.store.store import Store

COMMAND = Path(sys.executable).with_name("hookline")
HOUR = 3_600_000
NOBODY = 65534
T0 = 1_764_000_000_000


def dead(webhook: str, offset: int, *, reason: str, kind: str = "delivery", at: int = T0) -> DeadLetter:
    key = delivery_key(webhook, Origin("shop.jsonl", offset))
    request = Request(
        key=key,
        webhook_id=webhook,
        message_id=f"msg_{offset}",
        config="c0ffee",
        method="POST",
        url="https://example.com/\x01TOKEN\x02",
        headers=(("authorization", "Bearer \x01TOKEN\x02"),),
        body=b'{"text":"hi\xff","key":"\x01TOKEN\x02"}',
        user="u:u1",
        created_ms=at - HOUR,
    )
    progress = Progress(attempt=3, status=503, excerpt="busy\x1b[31m")
    return DeadLetter(kind=kind, reason=reason, dead_ms=at, request=request, progress=progress)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state directory of two shards and one source."""
    where = tmp_path / "state"
    prepare_recovery(where / "recovery")
    letters = [
        dead("crm", 10, reason="status-400"),
        dead("crm", 20, reason="max-age", at=T0 + 2 * HOUR),
        dead("mail", 30, reason="status-404", at=T0 + 4 * HOUR),
        dead("", 40, reason="no JSON", kind="record", at=T0 + 4 * HOUR),
    ]
    for shard in range(2):
        store = Store(where / "shards" / f"{shard:03d}")
        for name, number in {"crm/matched": 10, "crm/delivered": 7, "crm/dead": 1, "crm/pending": 2}.items():
            store.put(Table.COUNTERS, name.encode(), pack_number(number))
        store.put(Table.COUNTERS, b"mail/dead", pack_number(shard))
        for letter in letters[shard::2]:
            store.put(Table.DEAD, letter.key, pack_dead(letter))
        store.commit()
        store.close()
    source = Store(where / "identity" / "recording")
    for name, number in {"read": 100, "events": 90, "updates": 8, "links": 1, "invalid": 1}.items():
        source.put(Table.COUNTERS, f"record/{name}".encode(), pack_number(number))
    source.commit()
    source.close()
    return where


def test_status_adds_up_all_shards(hookline, state):
    said = hookline("status", "--state", state, "--json")
    assert said.code == 0
    assert said.json["records"] == {"read": 100, "events": 90, "updates": 8, "links": 1, "invalid": 1}
    crm = {"matched": 20, "delivered": 14, "dead": 2, "pending": 4, "suppressed": 0}
    mail = {"matched": 0, "delivered": 0, "dead": 1, "pending": 0, "suppressed": 0}
    assert said.json["webhooks"] == {"crm": crm, "mail": mail}
    assert said.json["running"] is False
    assert set(said.json) >= {"records", "webhooks", "latency_ms", "elapsed_secs"}


def test_status_is_readable_too(hookline, state):
    said = hookline("status", "--state", state)
    assert "no job is running" in said.out
    assert "100 records read: 90 events, 8 updates, 1 link, 1 invalid" in said.out
    row = next(line for line in said.out.splitlines() if line.startswith("crm"))
    assert row.split() == ["crm", "20", "14", "2", "4", "0"]


def test_status_reads_beside_the_owner_of_the_store(state):
    def matched() -> int:
        said = subprocess.run(
            [COMMAND, "status", "--state", state, "--json"], capture_output=True, timeout=30
        )
        return int(json.loads(said.stdout)["webhooks"]["crm"]["matched"])

    owner = Store(state / "shards" / "000")
    owner.put(Table.COUNTERS, b"crm/matched", pack_number(1000))
    assert matched() == 20
    owner.commit()
    assert matched() == 1010
    owner.close()


@pytest.mark.parametrize(
    "words",
    [
        *("dlq list", "dlq list --json", "dlq export", "dlq replay", "dlq purge"),
        *("outbox list", "outbox list --json", "outbox drop"),
    ],
)
def test_a_webhook_that_nobody_knows_is_wrong_usage_in_every_verb(hookline, state, words):
    said = hookline(*words.split(), "--state", state, "--webhook", "crn")
    assert (said.code, said.out) == (2, "")
    assert "there is no webhook `crn`; did you mean `crm`?" in said.err
    assert "there are: crm, mail" in hookline(*words.split(), "--state", state, "--webhook", "other").err


@pytest.mark.parametrize("words", ["status", "dlq list", "outbox list", "state check", "state compact"])
def test_no_state_is_no_damage(hookline, tmp_path, words):
    said = hookline(*words.split(), "--state", tmp_path / "none")
    assert (said.code, said.out) == (1, "")
    assert "none` holds no state: no job has run on it yet" in said.err.replace("\n  ", " ")


def test_the_environment_names_the_state_too(hookline, state, monkeypatch):
    monkeypatch.setenv("HOOKLINE_STATE", str(state))
    assert hookline("status", "--json").json["state"] == str(state)


def listed(said) -> list[int]:
    return [letter["origin"]["offset"] for letter in said.json]


def test_dead_letters_are_listed_newest_first(hookline, state):
    said = hookline("dlq", "list", "--state", state, "--json")
    assert sorted(listed(said)) == [10, 20, 30, 40]
    times = [letter["dead_at"] for letter in said.json]
    assert times == sorted(times, reverse=True)
    assert len(hookline("dlq", "list", "--state", state, "--json", "--limit", 2).json) == 2


@pytest.mark.parametrize(
    ("flags", "offsets"),
    [
        (["--webhook", "crm"], [10, 20]),
        (["--webhook", "-"], [40]),
        (["--reason", "status-4"], [10, 30]),
        (["--reason", "invalid"], [40]),
        (["--since", T0 + HOUR], [20, 30, 40]),
        (["--until", T0 + HOUR], [10]),
        (["--webhook", "crm", "--reason", "max-age", "--since", "2025-01-01"], [20]),
        (["--since", "1h"], []),
        (["--status", "5xx,timeout"], [10, 20, 30, 40]),
        (["--status", "404"], []),
        (["--user", "u1", "--text", "HI"], [10, 20, 30, 40]),
        (["--text", "nothing"], []),
    ],
)
def test_dead_letters_are_selected(hookline, state, flags, offsets):
    assert sorted(listed(hookline("dlq", "list", "--state", state, "--json", *flags))) == offsets


def test_the_list_counts_by_reason_and_fits_the_terminal(hookline, state):
    said = hookline("dlq", "list", "--state", state)
    assert any(line.split() == ["crm", "status-400", "1"] for line in said.out.splitlines())
    assert "invalid: no JSON" in said.out


def test_the_list_goes_on_where_it_ended(hookline, state):
    said = hookline("dlq", "list", "--state", state, "--limit", 3)
    cursor = said.err.split("--before ")[1].split()[0]
    rest = hookline("dlq", "list", "--state", state, "--json", "--before", cursor)
    assert listed(rest) == [10]


def test_a_status_that_no_attempt_ends_with_is_wrong_usage(hookline, state):
    said = hookline("dlq", "list", "--state", state, "--status", "50x")
    assert (said.code, "there is no status or fault `50x`" in said.err) == (2, True)


def test_what_a_dry_run_counted_is_what_is_changed_or_nothing_is(hookline, state):
    said = hookline("dlq", "replay", "--state", state, "--webhook", "crm", "--dry-run", "--json")
    assert (said.code, said.json["count"], said.json["stay"]) == (0, 2, 0)
    assert {(one["reason"], one["count"]) for one in said.json["by_reason"]} == {
        ("status-400", 1),
        ("max-age", 1),
    }
    digest = said.json["digest"]
    other = hookline("dlq", "replay", "--state", state, "--reason", "status-400", "--digest", digest)
    assert (other.code, "it is 1 now" in other.err) == (1, True)
    assert not list(state.rglob("commands/*.json"))
    done = hookline("dlq", "replay", "--state", state, "--webhook", "crm", "--digest", digest, "--json")
    assert done.json == {"count": 2, "stay": 0, "unchanged": 0, "at_next_start": True}


def test_a_dead_letter_is_shown_without_secrets_and_control_characters(hookline, state):
    name = hookline("dlq", "list", "--state", state, "--json", "--reason", "status-400").json[0]["id"]
    said = hookline("dlq", "show", name, "--state", state)
    assert said.code == 0
    assert "authorization: Bearer ${TOKEN}" in said.out
    assert "POST https://example.com/" in said.out
    assert not set(said.out) & {"\x01", "\x02", "\x1b"}
    facts = hookline("dlq", "show", name, "--state", state, "--json").json
    assert facts["request"]["body"] == '{"text":"hi\\xff","key":"${TOKEN}"}'
    assert facts["attempts"] == 3
    assert hookline("dlq", "show", facts["webhook_id"], "--state", state, "--json").json == facts


def test_an_unknown_dead_letter_is_a_problem(hookline, state):
    said = hookline("dlq", "show", "abc", "--state", state)
    assert said.code == 1
    assert "no dead letter `abc`" in said.err


def test_export_writes_one_object_per_line(hookline, state, tmp_path):
    said = hookline("dlq", "export", "--state", state, "--webhook", "crm")
    rows = [json.loads(line) for line in said.out.splitlines()]
    assert [row["webhook"] for row in rows] == ["crm", "crm"]
    dashed = hookline("dlq", "export", "--state", state, "--webhook", "crm", "-o", "-")
    assert (dashed.out, dashed.err) == (said.out, "")
    path = tmp_path / "dead.jsonl"
    assert hookline("dlq", "export", "--state", state, "-o", path).out == ""
    assert len(path.read_text().splitlines()) == 4


@pytest.mark.parametrize("words", ["status", "dlq list", "state check", "state compact", "tap", "top --once"])
def test_a_state_directory_that_is_closed_to_this_user_is_not_called_empty(hookline, tmp_path, words: str):
    state = tmp_path / "closed"
    StateDirectory(state, shards=8).close()
    asked = [*words.split(), "--state", state]
    assert "may not look into it" not in hookline(*asked).err  # and what is needed is imported
    uid = os.geteuid()
    state.chmod(0)
    if not uid:
        os.seteuid(NOBODY)
    try:
        said = hookline(*asked)
    finally:
        os.seteuid(uid)
        state.chmod(0o700)
    assert (said.code, f"{state}: this user (" in said.err) == (1, True), said.err
