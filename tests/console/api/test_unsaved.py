"""Texts that nobody has saved, samples and test sends, over the API, with a job that runs and without."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.receiver.server import Receiver
from tests.kit.programs.jobs import Job, ready
from tests.kit.programs.run import Bench, until
from tests.kit.web.pages import Caller, Reply, served

NEW = "webhooks/new.yaml"
HOOK = "id: new\ntrigger: {events: [Purchase]}\nrequest:\n  url: RECEIVER/new\n  headers: {X-Key: '${KEY}'}\n"
BODY = '  body: {who: "{{ user.properties.plan }}", mail: "{{ user.properties.email }}"}\n'
EVENT = {"type": "event", "name": "Purchase", "user_id": "u1", "properties": {"amount": 5}}


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver() as found:
        yield found


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Bench:
    found = Bench(tmp_path_factory.mktemp("unsaved"), environment={"KEY": "hush-hush"})
    found.webhook("crm", receiver.url("/crm"), events="[Purchase]")
    return found


@pytest.fixture(scope="module")
def bob(bench: Bench) -> Iterator[Caller]:
    with served(bench.folder, {}, mask=["user.properties.email"]) as caller:
        yield caller


def ask(bob: Caller, path: str, token: str = "editor", method: str = "POST", **body: Any) -> Reply:
    raw = None if method == "GET" else json.dumps(body).encode()
    return bob.ask(method, f"/api/v1/{path}", {"content-type": "application/json"}, raw, token=token)


def test_what_is_asked_wrongly_is_said_with_its_field(bob: Caller) -> None:
    for path, body, said in (
        ("check", {}, "the field `file` is missing"),
        ("check", {"file": NEW, "txt": ""}, "did you mean `text`?"),
        ("check", {"file": 5}, "`file` is a number: expected a text"),
        ("preview", {"file": NEW, "text": HOOK}, "what is tried is missing"),
        ("preview", {"file": NEW, "text": HOOK, "sample": "9-9"}, "the sample 9-9 is no longer available"),
        ("complete", {"file": NEW, "text": "", "line": 1}, "the field `column` is missing"),
    ):
        reply = ask(bob, path, **body)
        assert (reply.status, said in reply.json["error"]) == (400, True), reply.text
    assert ask(bob, "check", file="../x.yaml", text="").status == 422
    assert ask(bob, "preview", file=NEW, record=EVENT).status == 412
    assert ask(bob, "samples?limit=0", method="GET").status == 400
    assert ask(bob, "schema/pipeline.json", method="GET").status == 404
    assert "trigger" in ask(bob, "schema/webhook.json", method="GET").json["properties"]


def test_with_a_job_texts_are_tried_on_what_it_reads_and_sent_with_its_secrets(
    bob: Caller, bench: Bench, receiver: Receiver, tmp_path: Path
) -> None:
    text = HOOK.replace("RECEIVER", receiver.url("").rstrip("/")) + BODY
    given = {"file": NEW, "text": text}
    assert [one["code"] for one in ask(bob, "check", **given).json["findings"]] == ["missing-secret"]
    stopped = ask(bob, "webhooks/crm/send-test", record=EVENT)
    assert (stopped.status, "the job is stopped" in stopped.json["error"]) == (409, True)
    assert ask(bob, "samples", method="GET").json == {"samples": []}
    bench.update("u1", plan="pro", email="ann@example.com")
    bench.append({"name": "Purchase", "properties": {"amount": 5}}, {"name": "Refund"})
    with Job(bench) as job:
        ready(bench, job)
        until(lambda: receiver.requests)
        bob.console.workbench._environment._at = float("-inf")
        until(lambda: ask(bob, "check", **given).json["errors"] == 0)
        (sample, *_) = until(lambda: ask(bob, "samples", method="GET").json["samples"])
        assert sample["records"]
        assert "Purchase" in ask(bob, "catalog", method="GET").json["events"]
        would = ask(bob, "would-fire", **given).json
        assert would["before"] is None
        assert would["samples"] >= would["now"]["fires"]
        until(lambda: bench.counts("crm")["delivered"])  # what is known of the user is on disk
        shown = ask(bob, "preview", **given, record=EVENT, counts=True).json
        assert (shown["fires"], shown["stored_user"]) == (True, True)
        assert shown["would_fire"]["samples"] > 0
        assert shown["request"]["body"] == '{"who":"pro","mail":"•••"}'
        assert shown["request"]["headers"]["X-Key"] == "${KEY}"
        assert shown["user"]["properties"] == {"plan": "pro", "email": "•••"}
        assert ask(bob, "preview", "viewer", **given, record=EVENT).status == 403
        # On how many samples a text of one's own fires says what is in them.
        assert ask(bob, "would-fire", "viewer", **given).status == 403
        assert ask(bob, "would-fire", "operator", **given).status == 403
        assert ask(bob, "preview", "payloads", **given, record=EVENT).status == 403
        assert ask(bob, "would-fire", "viewer", file="webhooks/crm.yaml").json["samples"] > 0
        assert ask(bob, "preview", "payloads", file="webhooks/crm.yaml", record=EVENT).json["fires"]
        half = f"{HOOK}  body: {{a: '${{"
        end = len(half.splitlines()[5]) + 1
        (offered,) = ask(bob, "complete", file=NEW, text=half, line=6, column=end).json["completions"]
        assert (offered["label"], offered["insert"], offered["detail"]) == ("KEY", "KEY}", "set")
        refused = ask(bob, "webhooks/new/send-test", "operator", record=EVENT, **given)
        assert (refused.status, "not saved" in refused.json["error"]) == (403, True)
        sent = ask(bob, "webhooks/new/send-test", record=EVENT, **given)
        assert (sent.status, sent.json["answer"]["status"]) == (200, 200)
        assert "ann@" not in sent.text
        tried = receiver.requests[-1]
        assert (tried.path, tried.headers["x-key"]) == ("/new", "hush-hush")
        assert json.loads(tried.body) == {"who": "pro", "mail": "ann@example.com"}
        assert ask(bob, "webhooks/crm/send-test", record=EVENT).status == 429
        (attempt,) = ask(bob, "attempts?webhook=crm", method="GET").json["attempts"]
        assert attempt["status"] == 200
        assert ask(bob, "attempts", "viewer", method="GET").json["attempts"][0]["request"] == "•••"
        assert "hush-hush" not in "".join(
            ask(bob, path, method="GET").text for path in ("samples", "catalog", "attempts")
        )
    assert [one["target"] for one in bob.audit if one["action"] == "send test"][-1:] == ["crm"]


def test_a_wrong_text_is_answered_within_a_tenth_of_a_second(bob: Caller) -> None:
    ask(bob, "check", file=NEW, text=HOOK)
    begun = time.monotonic()
    for number in range(5):
        ask(bob, "check", file=NEW, text=HOOK + f"retires: {number}\n")
    assert (time.monotonic() - begun) / 5 < 1.0  # as the page promises; a tenth on a machine that is idle
