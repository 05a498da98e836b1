"""The page of one webhook, and its end, as a browser without scripts asks for them."""

from __future__ import annotations

import html
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from pipeline.operate.files.history import is_committed
from pipeline.operate.running import looks
from tests.kit.streams.samples import ROOT
from tests.kit.web.pages import served
from tests.kit.web.pages_sent import Visitor, fields_of, problems_of


@pytest.fixture(scope="module")
def ann(tmp_path_factory):
    folder = tmp_path_factory.mktemp("webhook")
    shutil.copytree(ROOT / "config", folder / "config")
    with served(folder, {}) as caller:
        yield Visitor.of(caller)


def test_what_it_does_is_said_with_the_job_stopped(ann: Visitor):
    page = ann.get("/webhooks/welcome")
    assert page.status == 200, page.text
    for words in ("Signed Up, 1 condition", "id: welcome", "The job is stopped", "Duplicate", "Delete"):
        assert words in page.text, words
    for tab in ("deliveries", "tests", "history"):
        assert ann.get(f"/webhooks/welcome/{tab}").status == 200
    assert ann.get("/webhooks/welcome?format=json").json["trigger"] == "Signed Up, 1 condition"
    for path in ("", "/deliveries", "/tests", "/history", "/delete"):
        assert ann.get(f"/webhooks/nowhere{path}").status == 404


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({}, "again at 11:35:04"),
        ({"probe_at": None}, "again at 11:35:04"),
        ({"probe_at": "2026-11-28T11:35:06.223Z"}, "receiver down, probed at 11:35:06"),
    ],
)
def test_an_attempt_says_when_the_next_one_is_also_in_the_words_of_an_older_job(
    ann: Visitor, monkeypatch: pytest.MonkeyPatch, more: dict[str, str | None], told: str
):
    attempt = dict.fromkeys(("user", "reason", "ms", "response", "request", "event", "webhook_id"))
    attempt |= {"at": "2026-11-28T11:35:02.164Z", "outcome": "retry", "status": 503, "attempt": 1}
    attempt |= {"webhook": "welcome", "due_at": "2026-11-28T11:35:04.000Z", **more}
    monkeypatch.setattr(looks, "attempts", lambda *_, **__: [attempt])
    page = ann.get("/webhooks/welcome/deliveries")
    assert page.status == 200, page.text
    assert told in page.text


def test_its_tests_are_run(ann: Visitor):
    found = ann.get("/webhooks/big-purchase/tests?format=json").json
    assert found["cases"]
    assert all(one["passed"] for one in found["cases"])
    file = ann.caller.config / "webhooks" / "big-purchase.test.yaml"
    file.write_text(file.read_text().replace("order: o-1", "order: o-2"))
    page = ann.get("/webhooks/big-purchase/tests").text
    assert "1 failed" in page
    file.rename(file.with_suffix(".yml"))
    page = ann.get("/webhooks/big-purchase/tests").text
    assert "1 failed" in page
    assert "big-purchase.test.yml" in page
    assert "What was not as expected" in page


def test_its_history_is_that_of_the_repository(ann: Visitor):
    assert "No repository" in ann.get("/webhooks/welcome/history").text
    config = ann.caller.config
    git = ("git", "-C", str(config), "-c", "user.name=ann", "-c", "user.email=ann@shop.example")
    for words in (("init", "-q"), ("add", "."), ("commit", "-qm", "webhooks: all of <them>")):
        subprocess.run(
            [*git, *words], check=True, env={**os.environ, "GIT_AUTHOR_DATE": "2026-11-01T00:30:00+0530"}
        )
    file = config / "webhooks" / "welcome.yaml"
    file.write_text(file.read_text().replace("once and for all", "once"))
    page = ann.get("/webhooks/welcome/history").text
    assert "webhooks: all of &lt;them&gt;" in page
    assert "changes that are not committed" in page
    assert "+id: welcome" in page
    assert "ann, 2026-10-31 19:00 UTC" in page


def test_a_file_that_git_ignores_is_neither_committed_nor_waits_for_it(tmp_path: Path):
    subprocess.run(["git", "-C", str(tmp_path), "init", "-q"], check=True)
    (tmp_path / ".gitignore").write_text("/mine.yaml\n")
    for name in ("mine.yaml", "ours.yaml"):
        (tmp_path / name).touch()
    assert is_committed(tmp_path, "mine.yaml") is None
    assert is_committed(tmp_path, "ours.yaml") is False


def test_orders_are_given_and_say_what_becomes_of_what_is_owed(ann: Visitor):
    given = ann.post("/webhooks/welcome/orders", [("do", "pause")])
    assert (given.status, given.headers["location"]) == (303, "/webhooks/welcome")
    page = ann.get("/webhooks/welcome").text
    assert "welcome is paused from the job" in page
    assert "Resume" in page
    assert ann.post("/webhooks/welcome/orders", [("do", "explode")]).status == 400
    assert ann.post("/webhooks/welcome/orders", [("do", "resume")]).status == 303
    done = [(line["action"], line.get("target")) for line in ann.caller.audit if line["result"] == "done"]
    assert done[-2:] == [("pause", "welcome"), ("resume", "welcome")]


def test_it_is_deleted_by_who_types_its_id(ann: Visitor):
    path, file = "/webhooks/plan-changed/delete", ann.caller.config / "webhooks" / "plan-changed.yaml"
    page = ann.get(path)
    assert "Nothing is pending." in page.text
    fields = [(name, value) for name, value in fields_of(page) if name != "id"]
    refused = ann.post(path, [*fields, ("id", "plan")])
    assert refused.status == 422
    assert "type plan-changed" in problems_of(refused)["id"]
    stale = ann.post(path, [("etag", "x"), ("id", "plan-changed")])
    assert stale.status == 412
    assert file.exists()
    done = ann.post(path, [*fields, ("id", "plan-changed")])
    assert (done.status, done.headers["location"], file.exists()) == (303, "/webhooks", False)
    assert ann.get("/webhooks/plan-changed").status == 404


def test_a_row_of_the_list_has_its_menu_and_comes_back_to_the_list(ann: Visitor):
    page = ann.get("/webhooks?sort=matched&desc=1").text
    menu = page[page.index('aria-label="Actions of welcome"') :].partition("</div>")[0]
    assert re.findall(r'(?:formaction|href)="([^"]*)"', menu) == [
        "/webhooks/welcome/orders", "/webhooks/welcome/orders", "/webhooks/welcome/test",
        "/live?webhook=welcome", "/webhooks/welcome/edit", "/new-webhook?copy=welcome",
        "/webhooks/welcome/delete",
    ]  # fmt: skip
    fields = [("back", "sort=matched&desc=1"), ("which", "chosen"), ("text", "")]  # as the list's form sends
    given = ann.post("/webhooks/welcome/orders", [*fields, ("do", "pause")])
    assert (given.status, given.headers["location"]) == (303, "/webhooks?sort=matched&desc=1")
    menu = ann.get("/webhooks").text.partition('aria-label="Actions of welcome"')[2].partition("</div>")[0]
    assert 'value="resume"' in menu
    ann.post("/webhooks/welcome/orders", [("do", "resume")])
    assert "formaction" not in ann.caller.ask("GET", "/webhooks", token="viewer").text


def test_one_is_tried_without_being_opened_and_kept_as_a_case_that_holds(ann: Visitor):
    path, file = "/webhooks/data-lake/test", ann.caller.config / "webhooks" / "data-lake.test.yaml"
    page = ann.get(path)
    assert "Send it to" in page.text
    assert "The job is stopped" in page.text
    assert ann.caller.ask("GET", path, token="viewer").status == 403
    before, samples = file.read_text(), re.findall(r'<option value="(case:[^"]*)"', page.text)
    kept = ann.post(path, [("sample", html.unescape(samples[0])), ("do", "keep")])
    assert (kept.status, kept.headers["location"]) == (303, "/webhooks/data-lake/tests")
    assert file.read_text().startswith(before.rstrip("\n"))  # every other byte stays
    found = ann.get("/webhooks/data-lake/tests?format=json").json["cases"]
    assert all(one["passed"] for one in found), found
    assert len(found) == before.count("- name:") + 1
    gone = ann.post(path, [("sample", "0-99"), ("do", "send")])
    assert "this sample is no longer available" in gone.text
    shown = ann.post(path, [("sample", "made"), ("do", "send")]).text
    assert "the job is stopped" in shown
    (ann.caller.config / "webhooks" / "fresh.yaml").write_text(
        "id: fresh\ntrigger: {events: [Purchase]}\nrequest: {url: https://a.example/x}\n"
    )
    assert ann.post("/webhooks/fresh/test", [("sample", "made"), ("do", "keep")]).status == 303
    found = ann.get("/webhooks/fresh/tests?format=json").json["cases"]
    assert [one["passed"] for one in found] == [True], found


def test_its_tests_go_with_it_where_that_is_wanted(ann: Visitor):
    folder = ann.caller.config / "webhooks"
    for name in ("going", "leaving"):
        text = f"id: {name}\ntrigger: {{events: [Purchase]}}\nrequest: {{url: https://a.example/x}}\n"
        (folder / f"{name}.yaml").write_text(text)
        (folder / f"{name}.test.yaml").write_text("cases: [{name: a, events: [{name: B}], expect: none}]\n")
    fields = [(n, value) for n, value in fields_of(ann.get("/webhooks/going/delete")) if n != "id"]
    assert ("tests", "on") in fields
    assert ann.post("/webhooks/going/delete", [*fields, ("id", "going")]).status == 303
    assert not [one for one in folder.iterdir() if one.name.startswith("going")]
    assert [one["target"] for one in ann.caller.audit if one["action"] == "delete"][-2:] == [
        "webhooks/going.yaml", "webhooks/going.test.yaml",
    ]  # fmt: skip
    assert "webhooks/going.yaml and webhooks/going.test.yaml are deleted" in ann.get("/webhooks").text
    etag = dict(fields_of(ann.get("/webhooks/leaving/delete")))["etag"]
    ann.post("/webhooks/leaving/delete", [("etag", etag), ("id", "leaving")])
    assert (folder / "leaving.test.yaml").exists()


def test_a_record_seen_elsewhere_becomes_the_sample(ann: Visitor):
    record = '{"name": "Refund Requested", "user_id": "u9", "properties": {"amount": 3}}'
    page = ann.post("/webhooks/data-lake/try", [("record", record), ("user", '{"plan": "pro"}')])
    assert page.status == 200
    assert dict(fields_of(page))["sample"] == "own"
    assert dict(fields_of(page))["record"] == record
    new = dict(fields_of(ann.get("/new-webhook?event=Signed%20Up")))
    assert new["events"] == "Signed Up"
