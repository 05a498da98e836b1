"""The audit: a line for each thing that was done or refused, on disk before the answer, and never a value."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import web

from pipeline.console.context import RequestContext
from pipeline.console.render import data
from pipeline.console.security.audit import Act, Audit, AuditFailed, AuditLine, keys_changed
from pipeline.console.serving import app
from pipeline.console.serving.routes import ROUTES, Route
from pipeline.model.errors import ConfigError
from pipeline.model.findings import Finding
from tests.kit.web.pages import OURS, Caller, served

DONE: list[str] = []


async def _save(context: RequestContext) -> web.StreamResponse:
    context.audit("save", "webhooks/crm.yaml", before="b1", after="a1", keys=("request.url",))
    DONE.append("save")
    return context.go("/")


async def _refuse(context: RequestContext) -> web.StreamResponse:
    context.audit("save", "webhooks/crm.yaml")
    raise ConfigError([Finding("webhooks/crm.yaml", 1, 1, "unknown-field", "`hunter2` is not a field")])


async def _bulk(context: RequestContext) -> web.StreamResponse:
    for name in ("a", "b"):
        context.audit("pause", name)
    return data({})


async def _look(context: RequestContext) -> web.StreamResponse:
    context.unchanged()
    return data({})


async def _say_nothing(context: RequestContext) -> web.StreamResponse:
    return data({})


async def _break(context: RequestContext) -> web.StreamResponse:
    context.audit("replay", count=3, digest="d1")
    raise RuntimeError("/etc/passwd hunter2")


async def _forbid(context: RequestContext) -> web.StreamResponse:
    raise web.HTTPForbidden(reason="not this one")


OWN = (
    Route("POST", "/t/save", "edit", _save),
    Route("POST", "/t/refuse", "edit", _refuse),
    Route("POST", "/t/bulk", "operate", _bulk),
    Route("POST", "/t/look", "edit", _look),
    Route("POST", "/t/nothing/{id}", "operate", _say_nothing),
    Route("POST", "/t/break", "operate", _break),
    Route("POST", "/t/forbid", "operate", _forbid),
)


@pytest.fixture
def caller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Caller]:
    monkeypatch.setattr(app, "ROUTES", (*ROUTES, *OWN))
    DONE.clear()
    with served(tmp_path) as found:
        yield found


def last(caller: Caller, *names: str) -> list[object]:
    return [caller.audit[-1].get(name) for name in names]


def test_what_is_done_has_a_line_with_who_what_and_whence(caller: Caller):
    assert caller.ask("POST", "/t/save", token="editor").status == 303
    line = caller.audit[-1]
    assert line.pop("at").endswith("Z")
    assert line == {
        "who": "editor-bot", "role": "editor", "by": "token", "from": "127.0.0.1", "action": "save",
        "target": "webhooks/crm.yaml", "result": "done", "status": 303, "before": "b1", "after": "a1",
        "keys": ["request.url"], "request": "POST /t/save",
    }  # fmt: skip
    assert caller.console.audit.path.stat().st_mode & 0o777 == 0o600


def test_what_is_refused_has_one_that_says_why_in_our_words(caller: Caller):
    assert caller.ask("POST", "/t/refuse", token="editor").status == 422
    assert last(caller, "action", "result", "status", "why") == ["save", "refused", 422, "unknown-field"]
    assert caller.ask("POST", "/t/save", token="viewer").status == 403
    assert last(caller, "who", "action", "target", "status") == ["viewer-bot", "refused", "/t/save", 403]
    assert caller.ask("POST", "/t/save").status == 401
    assert caller.ask("POST", "/t/save", token="nobody").status == 401
    assert caller.ask("POST", "/t/save", {"sec-fetch-site": "cross-site"}, token="editor").status == 403
    assert last(caller, "who", "action", "status") == [None, "refused", 403]
    assert caller.ask("GET", "/", {"host": "evil.example"}).status == 421
    assert last(caller, "action", "status") == ["refused", 421]
    assert len(caller.audit) == 6
    assert "hunter2" not in caller.console.audit.path.read_text()
    assert DONE == []


def test_several_things_of_one_request_have_a_line_each(caller: Caller):
    caller.ask("POST", "/t/bulk", token="operator")
    assert [(line["action"], line["target"]) for line in caller.audit] == [("pause", "a"), ("pause", "b")]


def test_who_only_looks_has_none_and_who_says_nothing_has_one(caller: Caller):
    caller.ask("POST", "/t/look", token="editor")
    assert caller.audit == []
    caller.ask("POST", "/t/nothing/crm", token="editor")
    assert last(caller, "action", "target", "request") == ["other", "crm", "POST /t/nothing/{id}"]


def test_what_breaks_has_a_line_and_its_page_says_nothing_of_the_inside(caller: Caller):
    said = caller.ask("POST", "/t/break", token="editor")
    assert said.status == 500
    assert "passwd" not in said.text
    assert "Traceback" not in said.text
    assert last(caller, "action", "result", "status", "count", "why") == [
        "replay", "refused", 500, 3, "RuntimeError",
    ]  # fmt: skip


def test_what_is_forbidden_within_has_one_line(caller: Caller):
    assert caller.ask("POST", "/t/forbid", token="editor").status == 403
    assert [(line["result"], line["why"]) for line in caller.audit] == [("refused", "not this one")]


def test_log_ins_have_a_line_whether_they_come_in_or_not(caller: Caller):
    cookie = caller.log_in().cookie
    assert last(caller, "who", "role", "action", "result") == ["local", "editor", "log in", "done"]
    caller.log_in("payloads")
    assert last(caller, "who", "role", "action") == ["payloads-bot", "payloads", "log in"]
    caller.log_in("guess")
    assert last(caller, "who", "action", "result", "status") == [None, "log in", "refused", 403]
    caller.ask("POST", "/logout", OURS, cookie=cookie)
    assert last(caller, "who", "by", "action") == ["local", "link", "log out"]
    written = caller.console.audit.path.read_text()
    assert "guess" not in written
    assert cookie.partition("=")[2] not in written


def test_nothing_is_done_while_the_audit_cannot_be_written(caller: Caller):
    file = caller.console.audit.path
    file.mkdir(parents=True)
    said = caller.ask("POST", "/t/save", token="editor")
    assert said.status == 503
    assert "the audit cannot be written, so nothing was done" in said.text
    assert str(file) not in said.text
    assert DONE == []
    assert caller.log_in().status == 503
    assert caller.ask("GET", "/", token="viewer").status == 200
    assert caller.ask("POST", "/t/look", token="viewer").status == 403  # a refusal stays one
    file.rmdir()
    assert caller.ask("POST", "/t/save", token="editor").status == 303
    assert DONE == ["save"]


def test_what_was_done_while_the_audit_broke_is_said_and_written_later(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
):
    audit = caller.console.audit
    monkeypatch.setattr(audit, "ready", lambda: None)  # the disk fills between the look and the line
    audit.path.mkdir(parents=True)
    said = caller.ask("POST", "/t/save", token="editor")
    assert said.status == 503
    assert "it was done, but" in said.text
    said = caller.ask("POST", "/t/refuse", token="editor")
    assert said.status == 422
    assert "it was done" not in said.text
    audit.path.rmdir()
    monkeypatch.undo()
    caller.ask("POST", "/login", OURS, {"token": "editor"})
    assert [line["result"] for line in caller.audit] == ["done", "refused", "done"]


ACT = Act("save", "x" * 1000, keys=("a",) * 200)
LINE = AuditLine(ACT, "w\x1b\n" * 99, "editor", "link", "::1", "POST /", 303, "done")


def test_lines_are_whole_whatever_is_in_them_and_what_a_crash_left_is_no_part_of_the_next(tmp_path: Path):
    audit = Audit(tmp_path / "deep" / "audit.jsonl")
    audit.write([LINE])
    with audit.path.open("ab") as file:
        file.write(b'{"at": "20')
    audit.write([LINE, LINE])
    lines = audit.path.read_bytes().split(b"\n")
    assert [bool(line.startswith(b'{"at":"20') and line.endswith(b"}")) for line in lines] == [
        True, False, True, True, False,
    ]  # fmt: skip
    found = json.loads(lines[2])
    assert len(found["target"]) < 300
    assert len(found["keys"]) == 100
    assert len(lines[2]) < 4096


def test_a_link_in_its_place_is_not_followed(tmp_path: Path):
    (tmp_path / "audit.jsonl").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(AuditFailed):
        Audit(tmp_path / "audit.jsonl").write([LINE])
    assert not (tmp_path / "elsewhere").exists()


def test_a_flood_of_refusals_is_counted_not_written(tmp_path: Path):
    audit = Audit(tmp_path / "audit.jsonl")
    for _ in range(500):
        audit.refused(LINE)
    assert len(audit.path.read_bytes().splitlines()) == 60
    audit._refused.clear()
    audit.refused(LINE)
    assert json.loads(audit.path.read_bytes().splitlines()[-1])["unlisted"] == 440


def test_keys_say_what_changed_and_not_into_what():
    before = "id: a\nrequest: {url: u, headers: {X: hunter2}}\ntrigger: {events: [A, B]}\n"
    after = "id: a\nrequest: {url: u, headers: {Y: hunter3}}\ntrigger: {events: [A]}\nenabled: false\n"
    assert keys_changed(before, after) == (
        "enabled", "request.headers.X", "request.headers.Y", "trigger.events.1",
    )  # fmt: skip
    assert keys_changed("", before)[0] == "id"
