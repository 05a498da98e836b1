"""The pages Config and Audit: what is wrong, whence settings come, which secrets there are; who did what."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest

from pipeline.config.files import config_files
from pipeline.console.security.audit_reader import Wanted, read_page
from pipeline.console.security.roles import ROLES
from pipeline.console.serving.routes import ROUTES
from pipeline.operate.check import check
from tests.kit.web.pages import OURS, WEBHOOK, Caller, served

BASED = """\
id: based
extends: _base
trigger: {events: [Paying]}
request: {url: "https://crm.example/paying", headers: {X-Key: "${CRM_KEY}"}}
"""


@pytest.fixture
def caller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CRM_KEY", "s3cr3t-of-the-crm")
    (tmp_path / "config" / "labels").mkdir(parents=True)
    (tmp_path / "config" / "labels" / "paying.yaml").write_text(
        "name: Paying\nwhere: {event.name: {in: {file: lists/names.txt}}}\n"
    )
    (tmp_path / "config" / "lists").mkdir()
    (tmp_path / "config" / "lists" / "names.txt").write_text("Purchase\n")
    webhooks = {"crm": WEBHOOK, "based": BASED, "_base": "description: shared\n"}
    with served(tmp_path, webhooks) as found:
        yield found


def test_what_is_wrong_is_what_check_says(caller: Caller):
    (caller.config / "webhooks" / "bad.yaml").write_text("id: bad\ntriger: {events: [A]}\n")
    said = caller.ask("GET", "/config?format=json", token="viewer").json
    told = {(one["file"], one["line"], one["column"], one["code"]) for one in said["findings"]}
    wanted = {(one.file, one.line, one.column, one.code) for one in check(caller.config).findings}
    assert wanted
    assert wanted <= told
    page = caller.ask("GET", "/config", token="viewer").text
    assert "/config/file?name=webhooks%2Fbad.yaml#line-2" in page
    file = caller.ask("GET", "/config/file?name=webhooks%2Fbad.yaml", token="viewer")
    assert '<li id="line-2">triger: {events: [A]}</li>' in file.text


def test_a_folder_of_many_files_is_not_listed_for_each_of_them(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
):
    listed: list[Path] = []

    def listing(config: Path) -> list[str]:
        listed.append(config)
        return config_files(config)

    monkeypatch.setattr("pipeline.operate.files.tree.config_files", listing)
    assert caller.ask("GET", "/config", token="viewer").status == 200
    assert len(listed) == 1
    for name in (
        "webhooks/../pipeline.yaml",
        "pipeline.yaml",
        "webhooks/.x.yaml",
        "webhooks/a/b.yaml",
        "webhooks/\0.yaml",
    ):
        assert caller.console.tree.text(name) is None


def test_each_file_names_who_uses_it(caller: Caller):
    said = caller.ask("GET", "/api/v1/config", token="viewer").json
    used = {one["file"]: (one["kind"], one["used_by"]) for one in said["files"]}
    assert used["webhooks/_base.yaml"] == ("base", ["webhooks/based.yaml"])
    assert used["labels/paying.yaml"] == ("label", ["webhooks/based.yaml"])
    assert used["lists/names.txt"] == ("list", ["labels/paying.yaml"])
    assert used["webhooks/crm.yaml"] == ("webhook", [])


def test_secrets_are_named_and_never_shown(caller: Caller):
    said = caller.ask("GET", "/api/v1/config", token="editor")
    (secret,) = (one for one in said.json["secrets"] if one["name"] == "CRM_KEY")
    assert (secret["set"], secret["webhooks"]) == (True, ["based"])
    assert "s3cr3t-of-the-crm" not in said.text + caller.ask("GET", "/config", token="editor").text


def test_settings_tell_whence_they_come(caller: Caller, monkeypatch: pytest.MonkeyPatch):
    (caller.config / "pipeline.yaml").write_text("epoch: 2s\n")
    settings = caller.ask("GET", "/config?format=json", token="viewer").json["settings"]
    assert settings["epoch"]["origin"].endswith("pipeline.yaml:1")
    assert settings["shards"]["origin"] == "default"


@pytest.mark.parametrize(
    "name", ["../tokens", "pipeline.yaml", "webhooks/../../tokens", "webhooks/nothing.yaml"]
)
def test_no_other_file_is_shown(caller: Caller, name: str):
    assert caller.ask("GET", f"/config/file?{urlencode({'name': name})}", token="editor").status == 404


def test_the_audit_page_shows_what_was_done_the_last_first(caller: Caller):
    caller.log_in("no such token")
    cookie = caller.log_in().cookie
    said = caller.ask("GET", "/audit?format=json", cookie=cookie).json["lines"]
    done = [(one["action"], one["result"]) for one in said]
    assert done[:2] == [("log in", "done"), ("log in", "refused")]
    first, later = quote(said[-1]["at"]), f"{datetime.now(UTC) + timedelta(days=2):%Y-%m-%d}"
    since = [("since=2h", True), ("since=2020-01-01T00:00%2B02:00", True), (f"since={first}", True)]
    for words, shown in [*since, ("until=2h", False), (f"until={first}", False), (f"until={later}", True)]:
        there = caller.ask("GET", f"/audit?format=json&{words}", cookie=cookie).json["lines"]
        assert bool(there) is shown, words
    for no_time in ("yesterday", "2026-13-45"):
        wrong = caller.ask("GET", f"/audit?since={no_time}", cookie=cookie)
        assert (wrong.status, f"`{no_time}` is no time" in wrong.text) == (422, True)
    page = caller.ask("GET", "/audit?result=refused", cookie=cookie).text
    assert page.count("<tr>") == 2, "its head and one line"


def test_an_audit_is_read_backwards_page_by_page_and_every_line_comes_once(tmp_path: Path):
    path = tmp_path / "audit.jsonl"
    lines = [
        {"at": f"{number:06}", "action": "save", "target": "x" * (number % 700)} for number in range(3_000)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"torn')
    found, before = [], None
    while True:
        page = read_page(path, Wanted(), before, 50)
        assert len(page.lines) <= 50
        found += page.lines
        if page.next is None:
            break
        before = page.next
    assert found == lines[::-1]


EVENT = {"name": "Purchase", "user_id": "u1"}
FILE = {"file": "webhooks/based.yaml", "text": BASED}
CONTEXT = {"check": FILE, "preview": {**FILE, "record": EVENT}, "complete": {**FILE, "line": 4, "column": 70}}


def crawled(caller: Caller) -> str:
    """Return everything that the console answers to each role over each page."""
    said = []
    for role in ROLES:
        for route in ROUTES:
            if route.method != "GET" or route.stream or route.path.startswith(("/static", "/assets")):
                continue
            path = re.sub(r"\{id[^}]*\}", "based", route.path)
            path = re.sub(r"\{[^}]*\}", "webhook", path)
            if path == "/config/file":
                path += "?name=webhooks%2Fbased.yaml"
            reply = caller.ask("GET", path, token=role)
            said.append(reply.text + str(dict(reply.headers)))
        for verb, body in CONTEXT.items():
            headers = {**OURS, "content-type": "application/json"}
            raw = json.dumps(body).encode()
            said.append(caller.ask("POST", f"/api/v1/{verb}", headers, raw, token=role).text)
    return "\n".join(said)


def test_a_secrets_value_is_in_no_answer_in_no_form_for_nobody(caller: Caller):
    said = crawled(caller) + json.dumps(caller.audit)
    assert "CRM_KEY" in said, "the crawl saw what names it"
    secret = "s3cr3t-of-the-crm"
    for form in (secret, secret.encode().hex(), b64encode(secret.encode()).decode()):
        assert form not in said
        assert quote(form, safe="") not in said


def test_while_the_config_is_read_for_the_first_time_a_page_says_so_and_comes_by_itself(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
):
    bench = caller.console.workbench
    assert caller.ask("GET", "/config", token="viewer").status == 200
    assert bench.is_read
    monkeypatch.setattr("pipeline.console.context.RUN_SECS", 0.3)
    with bench._lock:  # somebody else's
        monkeypatch.setattr(bench, "is_read", False)
        said = caller.ask("GET", "/config", token="viewer")
        assert (said.status, said.headers["refresh"], said.headers["retry-after"]) == (503, "2", "2")
        assert "The config is being read for the first time" in said.text
        assert "being read" in caller.ask("GET", "/api/v1/config", token="viewer").json["error"]
        monkeypatch.setattr(bench, "is_read", True)
        said = caller.ask("GET", "/config", token="viewer")
        assert (said.status, "refresh" in said.headers) == (503, False)
        assert "this takes too long" in said.text
