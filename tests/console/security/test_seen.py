"""What a person may not see reaches them by no way round: values of variables and files, payloads."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from pipeline.receiver.server import Receiver
from tests.kit.programs.jobs import Job, ready
from tests.kit.programs.run import Bench, until
from tests.kit.web.pages import Caller, Reply, served

HIDDEN = "hunter2-of-the-machine"
EVENT = {"type": "event", "name": "Purchase", "user_id": "u1", "properties": {"amount": 5}}
HEAD = "id: crm\ntrigger: {events: [Purchase]}\n"
TO = 'request: {url: "https://crm.example/x", body: {a: "{{ vars.t }}"}}\n'
OWN = 'id: own\ntrigger: {events: [Purchase]}\nrequest: {url: "http://${SHOWN}/x", body: {a: 1}}\n'
SECRET = HEAD + 'request: {url: "https://crm.example/x", headers: {X-Key: "${HIDDEN}"}, body: {a: 1}}\n'
PLAIN = {
    "host": HEAD + 'request: {url: "http://${HIDDEN}/x", body: {}}\n',
    "file as host": HEAD + 'request: {url: "http://${file:FILE}/x", body: {}}\n',
    "setting": HEAD + 'vars: {t: {setting: "${HIDDEN}"}}\n' + TO,
    "file as setting": HEAD + 'vars: {t: {setting: "${file:FILE}"}}\n' + TO,
    "condition": "id: crm\ntrigger:\n  events: [Purchase]\n"
    '  where: [{event.properties.amount: {ne: {setting: "${HIDDEN}"}}}]\n' + TO.replace("{{ vars.t }}", "x"),
    "event": HEAD.replace("[Purchase]", '[Purchase, "${HIDDEN}"]') + TO.replace("{{ vars.t }}", "x"),
    "limit": HEAD + 'limit: {per: "${HIDDEN}", count: 1, every: 1h}\n' + TO.replace("{{ vars.t }}", "x"),
    "id": HEAD.replace("crm", '"${HIDDEN}"') + TO.replace("{{ vars.t }}", "x"),
}  # fmt: skip
"""Texts that show what they name as soon as they are tried."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("seen")
    (folder / "passwd").write_text(HIDDEN)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HIDDEN", HIDDEN)
        patch.setenv("SHOWN", "shown.example")
        yield folder


@pytest.fixture(scope="module")
def caller(folder: Path) -> Iterator[Caller]:
    with served(folder, {"own": OWN}) as found:
        found.console.workbench.check_saved()  # its process takes a while to be there
        yield found


def tried(caller: Caller, path: str, token: str, text: str, file: str = "webhooks/crm.yaml") -> Reply:
    text = text.replace("FILE", str(caller.config.parent / "passwd"))
    given: dict[str, Any] = {"file": file, "text": text}
    given |= {"record": EVENT} if path == "preview" else {}
    given |= {"line": 1, "column": 1} if path == "complete" else {}
    raw = json.dumps(given).encode()
    return caller.ask("POST", f"/api/v1/{path}", {"content-type": "application/json"}, raw, token=token)


def codes(reply: Reply) -> list[str]:
    return [one["code"] for one in reply.json["findings"]]


@pytest.mark.parametrize("form", PLAIN)
def test_who_may_not_write_reads_no_variable_and_no_file_by_a_text_of_theirs(caller: Caller, form: str):
    for path, token in (
        ("check", "viewer"), ("preview", "payloads"), ("preview", "operator"), ("would-fire", "payloads"),
    ):  # fmt: skip
        reply = tried(caller, path, token, PLAIN[form])
        assert HIDDEN not in reply.text, (path, token)
        assert codes(reply) == ["file-not-offered" if "FILE" in PLAIN[form] else "secret-in-plain"]
    assert HIDDEN not in tried(caller, "complete", "viewer", PLAIN[form]).text


@pytest.mark.parametrize("name", ["labels/x.yaml", "shapes/x.yaml", "webhooks/_x.yaml"])
def test_neither_by_a_text_in_the_place_of_another_file(caller: Caller, name: str):
    for text in ('name: "${HIDDEN}"\nevents: ["${HIDDEN}"]\n', 'vars: {t: {setting: "${file:FILE}"}}\n'):
        reply = tried(caller, "check", "viewer", text, name)
        assert HIDDEN not in reply.text
        assert set(codes(reply)) <= {"secret-in-plain", "file-not-offered"}


def test_a_file_of_the_machine_is_not_even_said_to_be_there(caller: Caller):
    for there in ("FILE", "FILE-not"):
        text = SECRET.replace("headers", f"ca: {there}, headers")
        assert codes(tried(caller, "check", "viewer", text)) == ["file-not-offered"]


def test_a_file_that_is_a_secret_on_disk_is_none_that_a_text_may_show(caller: Caller):
    path = caller.config / "webhooks/kept.yaml"
    path.write_text(
        SECRET.replace("crm\n", "kept\n")
        .replace("${HIDDEN}", "${file:FILE}")
        .replace("FILE", str(caller.config.parent / "passwd"))
    )
    try:
        shown = PLAIN["file as setting"].replace("id: crm", "id: kept")
        for token in ("payloads", "editor"):
            reply = tried(caller, "preview", token, shown, "webhooks/kept.yaml")
            assert (codes(reply), HIDDEN in reply.text) == (["file-not-offered"], False)
        kept = (
            SECRET.replace("crm\n", "kept\n").replace("${HIDDEN}", "${file:FILE}").replace("{a: 1}", "{a: 2}")
        )
        assert tried(caller, "preview", "payloads", kept, "webhooks/kept.yaml").json["request"]
    finally:
        path.unlink()


def test_what_is_shown_anyway_and_what_is_put_in_later_may_be_tried(caller: Caller):
    edited = OWN.replace("{a: 1}", "{a: 2}")
    reply = tried(caller, "preview", "payloads", edited, "webhooks/own.yaml")
    assert reply.json.get("request", reply.text)["url"] == "http://shown.example/x"
    reply = tried(caller, "preview", "payloads", SECRET)
    assert reply.json["request"]["headers"]["X-Key"] == "${HIDDEN}"


def test_who_may_write_sees_what_they_may_write(caller: Caller, folder: Path):
    assert HIDDEN in tried(caller, "preview", "editor", PLAIN["setting"]).text
    assert codes(tried(caller, "preview", "editor", PLAIN["file as setting"])) == ["file-not-offered"]
    with served(folder / "listed", {"own": OWN}, secrets={"HIDDEN": ["crm.example"]}) as listed:
        for form, text in PLAIN.items():
            for path in ("check", "preview", "would-fire"):
                assert HIDDEN not in tried(listed, path, "editor", text).text, form
        assert tried(listed, "preview", "editor", SECRET).json["request"] is not None


LITERALS = ("abcdefGH1234567890ZZ", "literal-of-the-query-5", "literal-of-the-header-7")
MAIL = "Ann+1@example.com"


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Caller, list[Any]]]:
    """A job whose webhook has secrets written out, and sends what `console.mask` names in many forms."""
    bench = Bench(tmp_path_factory.mktemp("kept"))
    with Receiver({"*": [400, 200]}) as receiver:
        path, query, header = LITERALS
        bench.webhook("crm", receiver.url("/webhooks"))
        (bench.config / "webhooks/crm.yaml").write_text(
            "id: crm\ntrigger: {events: [Purchase]}\nrequest:\n"
            f"  url: {receiver.url('/webhooks')}/{path}?token={query}&mail={{{{ user.properties.email }}}}\n"
            f"  headers: {{Authorization: Bearer {header}, X-To: '{{{{ user.properties.email }}}}'}}\n"
            '  body: {to: "{{ user.properties.email }}", up: "{{ user.properties.email | upcase }}",'
            ' tel: "{{ user.properties.tel }}", html: "{{ user.properties.email | url_encode }}"}\n'
        )
        for id, wanted in {"asks-mail": "{email: {eq: x}}", "asks-tel": "{tel: 1}"}.items():
            where = wanted.replace("{", "{user.properties.", 1)
            (bench.config / f"webhooks/{id}.yaml").write_text(
                f"id: {id}\ntrigger: {{events: [Purchase], where: {where}}}\n"
                f"request: {{url: '{receiver.url('/never')}', body: {{}}}}\n"
            )
        bench.update("u1", email=MAIL, tel=49123456789)
        bench.append({"name": "Purchase"}, {"name": "Purchase"})
        mask = ["user.properties.email", "user.properties.tel"]
        with served(bench.folder, {}, mask=mask) as caller, Job(bench) as job:
            ready(bench, job)
            until(lambda: len(receiver.requests) == 2)

            def dead() -> list[Any]:
                return caller.ask("GET", "/api/v1/dead-letters", token="editor").json["dead_letters"]

            yield caller, until(dead)


def test_a_secret_in_a_file_and_a_masked_property_come_up_nowhere(kept: tuple[Caller, list[Any]]):
    caller, letters = kept
    id = letters[0]["id"]
    pages = [
        "/", "/webhooks", "/webhooks/crm", "/webhooks/crm/deliveries", "/dead-letters", f"/dead-letters/{id}",
        "/dead-letters/export", "/pending", "/live", "/events", "/events/users?id=u1", "/config",
        "/events/users?id=u1&event=Purchase",
        "/config/file?name=webhooks/crm.yaml", "/api/v1/webhooks", "/api/v1/webhooks/crm", "/api/v1/attempts",
        "/api/v1/dead-letters", "/api/v1/outbox", "/api/v1/samples", "/api/v1/users/u1", "/api/v1/catalog",
    ]  # fmt: skip
    masked = {MAIL, quote(MAIL), quote_plus(MAIL), MAIL.upper(), quote(MAIL.upper()), "49123456789"}
    found: dict[str, set[str]] = {}
    for token in ("viewer", "payloads", "operator", "editor"):
        for page in pages:
            sign = "&" if "?" in page else "?"
            for asked in (page, f"{page}{sign}format=json"):
                text = caller.ask("GET", asked, token=token).text
                wrong = {one for one in (*masked, *(() if token == "editor" else LITERALS)) if one in text}
                if wrong:
                    found[f"{token} {asked}"] = wrong
    assert found == {}
    given = {"file": "webhooks/crm.yaml", "record": EVENT}
    for path, token in (("preview", "payloads"), ("webhooks/crm/send-test", "operator")):
        raw = json.dumps(given).encode()
        said = caller.ask("POST", f"/api/v1/{path}", {"content-type": "application/json"}, raw, token=token)
        assert said.status == 200
        assert [one for one in (*masked, *LITERALS) if one in said.text] == []
    assert all(one in caller.ask("GET", "/webhooks/crm/edit", token="editor").text for one in LITERALS)


def test_a_reason_that_is_hidden_cannot_be_asked_for(kept: tuple[Caller, list[Any]]):
    caller, _ = kept
    for path in ("/api/v1/dead-letters", "/dead-letters", "/dead-letters/selection"):
        for reason, status in (("invalid: the", 400), ("status-4", 200)):
            asked = f"{path}?do=purge&reason={quote(reason)}"
            said = caller.ask("GET", asked, token="viewer")
            assert said.status == (422 if status == 400 and path == "/dead-letters" else status), asked
            assert caller.ask("GET", asked, token="payloads").status == 200


def test_an_event_that_is_no_json_is_told_beside_the_user_it_was_tried_for(kept: tuple[Caller, list[Any]]):
    said = kept[0].ask("GET", "/events/users?id=u1&event=%7Bx", token="editor")
    assert (said.status, "the event is not a JSON object" in said.text) == (200, True)
