"""The page of one webhook, and its end, as a browser without scripts asks for them."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from tests.kit.pages import served
from tests.kit.pages_sent import Visitor, fields_of, problems_of
from tests.kit.samples import ROOT


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


def test_its_tests_are_run(ann: Visitor):
    found = ann.get("/webhooks/big-purchase/tests?format=json").json
    assert found["cases"]
    assert all(one["passed"] for one in found["cases"])
    file = ann.caller.config / "webhooks" / "big-purchase.test.yaml"
    file.write_text(file.read_text().replace("order: o-1", "order: o-2"))
    page = ann.get("/webhooks/big-purchase/tests").text
    assert "1 failed" in page
    assert "What was not as expected" in page


def test_its_history_is_that_of_the_repository(ann: Visitor):
    assert "No repository" in ann.get("/webhooks/welcome/history").text
    config = ann.caller.config
    git = ("git", "-C", str(config), "-c", "user.name=ann", "-c", "user.email=ann@shop.example")
    for words in (("init", "-q"), ("add", "."), ("commit", "-qm", "webhooks: all of <them>")):
        subprocess.run([*git, *words], check=True)
    file = config / "webhooks" / "welcome.yaml"
    file.write_text(file.read_text().replace("once and for all", "once"))
    page = ann.get("/webhooks/welcome/history").text
    assert "webhooks: all of &lt;them&gt;" in page
    assert "not as it was committed" in page
    assert "+id: welcome" in page


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
