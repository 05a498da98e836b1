"""Commands to a running job, and the same ones left for a stopped one: each is counted."""

from __future__ import annotations

import json
import urllib.request

import pytest

from pipeline.receiver.server import Receiver
from tests.kit.programs.run import Bench, until


def ids(receiver: Receiver) -> list[str]:
    return [request.message_id for request in receiver.requests]


def test_dead_letters_are_replayed_into_the_running_job_with_their_id(bench: Bench, receiver: Receiver):
    receiver.answer({"*": [400]})
    bench.append({"id": "1"}, {"id": "2"})
    with bench.running():
        until(lambda: bench.counts("w")["dead"] == 2)
        receiver.answer({"*": [200]})
        assert "2 dead letters to be sent again" in bench.hookline("dlq", "replay", "--webhook", "w")
        until(
            lambda: (
                bench.counts("w") == {"matched": 2, "delivered": 2, "dead": 0, "pending": 0, "suppressed": 0}
            )
        )
    assert len(ids(receiver)) == 4
    assert sorted(ids(receiver)[:2]) == sorted(ids(receiver)[2:])
    assert [request.headers.get("webhook-replay") for request in receiver.requests] == [
        None,
        None,
        "true",
        "true",
    ]


def test_a_replay_for_a_stopped_job_is_done_at_its_next_start(bench: Bench, receiver: Receiver):
    receiver.answer({"*": [400]})
    bench.append({"id": "1"}, {"id": "2"}, {"id": "3"})
    assert bench.run()["webhooks"]["w"]["dead"] == 3
    name = bench.listed("dlq")[0]["id"]
    receiver.answer({"*": [200]})
    assert "at the next start: " not in bench.hookline("status")
    for _ in range(2):
        assert "1 dead letter to be sent again at the next start" in bench.hookline("dlq", "replay", name)
    assert "\nat the next start: 1 dead letter to be sent again\n" in bench.hookline("status")
    assert bench.status()["left"] == {"replay": 1}
    counts = bench.run()["webhooks"]["w"]
    assert bench.status()["left"] == {}
    assert counts == {"matched": 3, "delivered": 1, "dead": 2, "pending": 0, "suppressed": 0}
    assert len(bench.listed("dlq")) == 2


def test_records_that_could_not_be_read_are_not_said_to_be_sent_again(bench: Bench, receiver: Receiver):
    receiver.answer({"*": [400]})
    bench.append({"id": "1"}, {"id": "2", "name": 7})
    bench.run()
    said = bench.hookline("dlq", "replay", "--webhook", "-", code=1)
    assert said.startswith("1 record that could not be read: left where it was. Mend the shape")
    said = bench.hookline("dlq", "replay", "--all")
    assert said.startswith("1 dead letter to be sent again at the next start\n1 record that could not be")


def test_what_still_cannot_be_rendered_is_not_said_to_be_sent_again(bench: Bench, receiver: Receiver):
    bench.webhook("w", receiver.url("/w"), "  body: {x: '{{ event.properties.gone | require }}'}\n")
    bench.append({"id": "1"})
    with bench.running():
        until(lambda: bench.counts("w")["dead"] == 1)
        said = bench.hookline("dlq", "replay", "--webhook", "w", code=1)
        assert said.startswith("1 dead letter left as before: still without a request")


def test_what_could_not_be_rendered_is_rendered_anew_from_the_user_as_he_was(
    bench: Bench, receiver: Receiver
):
    body = """\
  body:
    was: '{{ user.before.plan | default: "none" }}'
    is: '{{ user.properties.plan }}'
"""
    broken = "    gone: '{{ event.properties.gone }}'\n  missing: dead_letter\n"
    bench.webhook("w", receiver.url("/w"), body + broken)
    fire_on_change(bench)
    for plan in ("free", "pro", "team"):
        bench.update("u1", plan=plan)
    assert bench.run()["webhooks"]["w"]["dead"] == 3
    assert {json.loads(each["request"]["body"])["event"]["name"] for each in bench.listed("dlq")} == {
        "User updated"
    }
    bench.webhook("w", receiver.url("/w"), body)
    fire_on_change(bench)
    bench.hookline("dlq", "replay", "--all")
    counts = {"matched": 3, "delivered": 3, "dead": 0, "pending": 0, "suppressed": 0}
    assert bench.run()["webhooks"]["w"] == counts
    sent = [json.loads(request.body) for request in receiver.requests]
    assert sorted((each["was"], each["is"]) for each in sent) == [
        ("free", "pro"),
        ("none", "free"),
        ("pro", "team"),
    ]


def fire_on_change(bench: Bench) -> None:
    """Let the webhook fire on a change of the plan."""
    path = bench.config / "webhooks" / "w.yaml"
    path.write_text(path.read_text().replace('{events: "*"}', "{changes: [plan]}"))


def test_purged_dead_letters_are_gone_but_stay_counted(bench: Bench, receiver: Receiver):
    receiver.answer({"*": [400]})
    bench.append({"id": "1"})
    with bench.running():
        until(lambda: bench.counts("w")["dead"] == 1)
        bench.hookline("dlq", "purge", "--all")
        until(lambda: bench.listed("dlq") == [])
    assert bench.counts("w")["dead"] == 1


def test_nothing_is_changed_without_a_selection(bench: Bench):
    bench.append({"id": "1"})
    bench.run()
    assert "say --all" in bench.hookline("dlq", "purge", code=2)
    assert "say --all" in bench.hookline("outbox", "drop", code=2)
    assert "no dead letters" in bench.hookline("dlq", "replay", "--all", code=1)
    assert bench.hookline("dlq", "purge", "--all", "--json", code=1)["count"] == 0


def test_a_paused_webhook_keeps_what_it_owes_also_over_a_restart(bench: Bench, receiver: Receiver):
    with bench.running():
        until(lambda: (bench.state / "control-0.sock").exists())
        bench.hookline("webhook", "pause", "w")
        bench.append({"id": "1"}, {"id": "2"})
        until(lambda: bench.counts("w")["pending"] == 2)
    assert receiver.requests == []
    assert bench.hookline("webhook", "list", "--json")[0]["state"] == "paused"
    with bench.running():
        until(lambda: bench.status()["running"])
        assert bench.counts("w")["pending"] == 2
        bench.hookline("webhook", "resume", "w")
        until(lambda: bench.counts("w")["delivered"] == 2)
    assert len(receiver.requests) == 2


def test_resume_ends_the_pause_of_a_stopped_job(bench: Bench, receiver: Receiver):
    bench.append({"id": "1"})
    assert "w: paused from the next start on" in bench.hookline("webhook", "pause", "w")
    assert bench.run()["webhooks"]["w"]["pending"] == 1
    assert "w: active from the next start on" in bench.hookline("webhook", "resume", "w")
    assert bench.run()["webhooks"]["w"]["delivered"] == 1


def test_all_webhooks_or_some_are_paused_and_resumed_with_what_they_owe(bench: Bench, receiver: Receiver):
    for name in ("crm-a", "crm-b", "off"):
        bench.webhook(name, receiver.url(f"/{name}"))
    assert "off: disabled from the next start on" in bench.hookline("webhook", "disable", "off")
    with bench.running("--follow"):
        until(lambda: (bench.state / "control-0.sock").exists())
        said = bench.hookline("webhook", "pause", "--all")
        assert "w: paused now" in said
        assert "left as it is: off is disabled; nothing is sent to it" in said
        assert "3 webhooks are paused now; 0 deliveries are pending for them" in said
        bench.append({"id": "1"}, {"id": "2"})
        until(lambda: bench.counts("crm-b")["pending"] == bench.counts("w")["pending"] == 2)
        said = bench.hookline("webhook", "pause", "w")
        assert "w: paused now; 2 pending: kept until `resume`; a dead letter 72h after its match" in said
        said = bench.hookline("webhook", "resume", "crm-*")
        assert "crm-a: active now; 2 pending: sent" in said
        until(lambda: bench.counts("crm-a")["delivered"] == bench.counts("crm-b")["delivered"] == 2)
        assert bench.counts("w")["delivered"] == bench.counts("off")["delivered"] == 0
        found = bench.hookline("webhook", "resume", "--all", "--json")
        assert {one["id"]: bool(one["refused"]) for one in found}["off"] is True
        until(lambda: bench.counts("w")["delivered"] == 2)
        assert bench.hookline("webhook", "list", "--json")[2]["state"] == "disabled"
        said = bench.hookline("webhook", "pause", "w", "crm-c", code=2)
        assert "there is no webhook `crm-c`; did you mean `crm-" in said
        assert bench.hookline("webhook", "list", "--json")[3]["state"] == "active"
    assert "off is disabled; nothing is sent to it" in bench.hookline("webhook", "pause", "off", code=1)
    assert "say --all" in bench.hookline("webhook", "pause", code=2)


def test_resume_leaves_a_disabled_webhook_disabled_whether_the_job_runs_or_not(
    bench: Bench, receiver: Receiver
):
    refused = "error: w is disabled; `resume` ends a pause only, `hookline webhook enable w` sends again"
    bench.hookline("webhook", "disable", "w")
    assert refused in bench.hookline("webhook", "resume", "w", code=1)
    bench.append({"id": "1"})
    with bench.running():
        until(lambda: bench.counts("w")["pending"] == 1)
        assert refused in bench.hookline("webhook", "resume", "w", code=1)
        assert bench.status()["lanes"]["w"]["state"] == "disabled"
        assert bench.hookline("webhook", "list", "--json")[0]["state"] == "disabled"
        assert receiver.requests == []
        bench.hookline("webhook", "enable", "w")
        until(lambda: bench.counts("w")["delivered"] == 1)


def test_resume_does_not_revive_a_webhook_that_a_410_ended(bench: Bench, receiver: Receiver):
    receiver.answer({"*": [410]})
    bench.append({"id": "1"})
    with bench.running():
        until(lambda: bench.hookline("webhook", "list", "--json")[0]["state"] == "gone")
        receiver.answer({"*": [200]})
        said = bench.hookline("webhook", "resume", "w", code=1)
        assert "w is gone: its receiver answered 410; `resume` ends a pause only" in said
        assert bench.status()["lanes"]["w"]["state"] == "gone"
    assert bench.hookline("webhook", "list", "--json")[0]["state"] == "gone"
    assert "w is gone" in bench.hookline("webhook", "resume", "w", code=1)
    assert len(receiver.requests) == 1


@pytest.mark.parametrize("delay_secs", [0.0, 1.5], ids=["waiting", "mostly in flight"])
def test_what_is_dropped_becomes_a_dead_letter(bench: Bench, receiver: Receiver, delay_secs: float):
    receiver.answer({"*": [{"status": 503, "delay_secs": delay_secs}]})
    bench.append({"id": "1"}, {"id": "2", "user_id": "u2"})
    with bench.running():
        until(lambda: len(bench.listed("outbox")) == 2)
        bench.hookline("outbox", "drop", "--user", "u2")
        until(lambda: bench.counts("w")["dead"] == 1)
        (letter,) = bench.listed("dlq")
        assert (letter["reason"], letter["user"]) == ("dropped", "u2")
        assert bench.counts("w") == {"matched": 2, "delivered": 0, "dead": 1, "pending": 1, "suppressed": 0}


def test_retry_now_does_not_wait_for_the_due_time(bench: Bench, receiver: Receiver):
    bench.webhook("w", receiver.url("/w"), "delivery: {retry: {min_delay: 10m, max_delay: 20m}}\n")
    receiver.answer({"*": [503, 200]})
    bench.append({"id": "1"})
    with bench.running():
        until(lambda: receiver.requests)
        until(lambda: bench.counts("w")["pending"] == 1)
        bench.hookline("outbox", "retry-now", "--webhook", "w")
        until(lambda: bench.counts("w")["delivered"] == 1)


def test_retry_now_of_a_webhook_to_which_nothing_is_sent_says_how_to_end_that(
    bench: Bench, receiver: Receiver
):
    bench.webhook("w", receiver.url("/w"))
    receiver.answer({"*": [503]})
    bench.append({"id": "1"})
    with bench.running():
        until(lambda: bench.counts("w")["pending"] == 1)
        bench.hookline("webhook", "pause", "w")
        said = bench.hookline("outbox", "retry-now", "--webhook", "w", code=1)
        assert "w is paused: `hookline webhook resume w` sends again" in said


def test_commands_without_a_job_say_so(bench: Bench):
    bench.append({"id": "1"})
    bench.run()
    assert "no job runs" in bench.hookline("outbox", "retry-now", "--webhook", "w", code=1)
    assert "there is no webhook `x`" in bench.hookline("webhook", "pause", "x", code=2)


def test_an_unknown_webhook_is_wrong_usage_of_a_running_job_too(bench: Bench):
    with bench.running():
        until(lambda: (bench.state / "control-0.sock").exists())
        assert "there is no webhook `x`" in bench.hookline("webhook", "pause", "x", code=2)


def test_the_running_job_serves_status_health_and_metrics(bench: Bench, receiver: Receiver):
    bench.append({"id": "1"})
    with bench.running("--metrics", "0") as job:
        said = job.stderr
        assert said is not None
        address = until(lambda: next((line for line in said if '"metrics"' in line), None))
        port = address.partition("127.0.0.1:")[2].partition('"')[0]

        def get(path: str) -> str:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
                return answer.read().decode()

        until(lambda: 'hookline_webhook_delivered_total{webhook="w"} 1' in get("/metrics"))
        assert get("/healthz") == get("/readyz") == "ok\n"
        assert '"lanes"' in get("/status")


def test_a_stopped_state_directory_is_checked_and_compacted(bench: Bench, receiver: Receiver):
    receiver.answer({"*": [400]})
    bench.append(*({"id": str(number), "user_id": f"u{number}"} for number in range(50)))
    bench.run()
    checked = bench.hookline("state", "check", "--json")
    assert checked["problems"] == []
    assert checked["rows"] > 50
    before = bench.status()["webhooks"]
    assert len(bench.hookline("state", "compact", "--json")) == checked["stores"]
    assert bench.hookline("state", "check", "--json") == checked
    assert bench.status()["webhooks"] == before
    assert bench.run()["webhooks"] == before


def test_what_a_kill_left_of_compact_and_rebuild_is_no_store(bench: Bench, receiver: Receiver):
    """Nobody is told to restore a backup for the half of a copy; nor while one is made."""
    bench.append({"id": "1"})
    bench.run()
    before, checked = bench.status()["webhooks"], bench.hookline("state", "check", "--json")
    for half in ("shards/000/compact", "rebuilding/0"):
        (bench.state / half).mkdir(parents=True)
        (bench.state / half / "data.mdb").write_bytes(b"half")
        (bench.state / half / "lock.mdb").touch()
    (bench.state / "shards/000/data.mdb.1.partial").write_bytes(b"half")
    assert bench.status()["webhooks"] == before
    assert bench.hookline("state", "check", "--json") == checked
    assert len(bench.hookline("state", "compact", "--json")) == checked["stores"]
    assert not (bench.state / "shards/000/compact").exists()
    assert bench.run()["webhooks"] == before


def test_a_state_directory_in_use_is_not_compacted(bench: Bench):
    bench.append({"id": "1"})
    with bench.running():
        until(lambda: bench.counts("w")["delivered"] == 1)
        assert "in use" in bench.hookline("state", "compact", code=3)
