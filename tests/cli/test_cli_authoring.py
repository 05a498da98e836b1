"""The verbs for whoever writes webhooks: check, schema, config show, new, test, explain, diff, send."""

from __future__ import annotations

import gzip
import json
import re
import signal
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.receiver.server import Receiver
from tests.kit.programs.run import HOOKLINE, finished, started

WEBHOOK = """\
id: big
trigger:
  events: [Purchase]
  where:
    - event.properties.amount: {gte: 100}
    - user.properties.plan: pro
request:
  url: https://example.com/hook?k=${KEY}
  body: {who: "{{ user.properties.name }}", amount: "{{ event.properties.amount }}"}
"""
TEST = """\
cases:
  - name: a large purchase is told
    users: [{id: u1, properties: {plan: pro, name: Ada}}]
    events: [{name: Purchase, properties: {amount: 100}}]
    expect: {body: {who: Ada}}
"""
EVENT = {"name": "Purchase", "properties": {"amount": 250}}
USER = {"id": "u1", "properties": {"plan": "pro", "name": "Ada"}}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    folder = tmp_path / "config"
    (folder / "webhooks").mkdir(parents=True)
    (folder / "webhooks" / "big.yaml").write_text(WEBHOOK)
    (folder / "webhooks" / "big.test.yaml").write_text(TEST)
    return folder


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str, object], Path]:
    def file(name: str, value: object) -> Path:
        (tmp_path / name).write_text(json.dumps(value))
        return tmp_path / name

    return file


# --- check


def test_a_good_config_is_said_in_one_line(hookline, config, monkeypatch):
    monkeypatch.setenv("KEY", "k")
    said = hookline("check", "-c", config)
    assert (said.code, said.out) == (0, f"{config}: 1 webhook, no problems\n")


def test_every_problem_of_every_file_is_shown_with_its_place(hookline, config):
    (config / "webhooks" / "big.yaml").write_text(
        WEBHOOK.replace("events:", "evnts:").replace("user.", "usr.")
    )
    (config / "webhooks" / "other.yaml").write_text("id: other\ntrigger: [\n")
    (config / "pipeline.yaml").write_text("shards: many\n")
    said = hookline("check", "-c", config, "--offline")
    assert said.code == 1
    assert f"{config}/webhooks/big.yaml:3:3: error[unknown-field]" in said.out
    assert "did you mean `events`" in said.out
    assert f"{config}/webhooks/other.yaml:" in said.out
    assert f"{config}/pipeline.yaml:1:" in said.out
    found = hookline("check", "-c", config, "--offline", "--json").json
    assert found["ok"] is False
    assert {one["file"] for one in found["findings"]} == {
        "pipeline.yaml",
        "webhooks/big.yaml",
        "webhooks/other.yaml",
    }
    assert all(
        {"line", "column", "code", "message", "severity", "hint"} <= set(one) for one in found["findings"]
    )


def test_a_missing_secret_is_an_error_unless_offline(hookline, config):
    assert "KEY" in hookline("check", "-c", config).out
    assert hookline("check", "-c", config).code == 1
    assert hookline("check", "-c", config, "--offline").code == 0


def test_a_missing_directory_is_a_problem(hookline, tmp_path):
    said = hookline("check", "-c", tmp_path / "none")
    assert said.code == 1
    assert "there is no such config directory" in said.err


@pytest.mark.parametrize("verb", ["explain", "send"])
def test_a_record_in_the_place_of_a_file_is_told_how_it_can_be_given(hookline, verb):
    said = hookline(verb, "--event", '{"name": "Purchase"}')
    assert said.code == 2
    assert "--event: expected a file, not a record: write it to one, or pipe it in and say `-`" in said.err


def test_pipeline_yaml_may_be_named_instead_of_its_directory(hookline, config):
    (config / "pipeline.yaml").write_text("shards: 4\n")
    assert hookline("check", "-c", config / "pipeline.yaml", "--offline").code == 0


def test_check_imports_nothing_that_only_a_job_needs(config):
    code = (
        "import sys; from pipeline.cli import main\n"
        f"sys.argv[1:] = ['check', '--offline', '-c', {str(config)!r}]\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'bytewax', 'aiohttp', 'confluent_kafka', 'lmdb', 'uvloop', 'cryptography', 'rich', "
        "'liquid', 'asyncio', 're2'}\n"
        "sys.exit(repr(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    finished(sys.executable, "-c", code)


def test_watching_checks_again_after_each_change(config):
    with started(HOOKLINE, "check", "--watch", "--offline", "-c", config) as watching:
        assert watching.stdout is not None
        assert watching.stderr is not None
        assert "no problems" in watching.stdout.readline()
        assert "waiting for the next change" in watching.stderr.readline()
        (config / "webhooks" / "big.yaml").write_text(WEBHOOK.replace("trigger:", "triger:"))
        assert "unknown-field" in watching.stdout.readline()
        watching.send_signal(signal.SIGINT)
        assert watching.wait(10) == 0


def test_the_time_beside_a_watch_is_utc(config, hookline, monkeypatch):
    monkeypatch.setattr("pipeline.operate.check.check_changes", lambda *_, **__: iter(["looked"]))
    monkeypatch.setenv("TZ", "AAA-5:30")
    time.tzset()
    try:
        begun = int(time.time()) - 1  # gmtime() asks a coarser clock
        told = hookline("check", "--watch", "--offline", "-c", config).err
        hours, minutes, secs = map(int, told.split()[0].split(":"))
        since = (hours * 3600 + minutes * 60 + secs - begun) % 86_400
        assert since <= time.time() - begun
    finally:
        monkeypatch.undo()
        time.tzset()


# --- schema, config show, new


def test_schemas_are_printed_and_written(hookline, tmp_path):
    for kind in ("webhook", "label", "pipeline"):
        assert hookline("schema", kind).json["$schema"].startswith("https://json-schema.org/")
    assert hookline("schema").json == hookline("schema", "webhook").json
    assert hookline("schema", "-o", tmp_path / "s").code == 0
    assert json.loads((tmp_path / "s" / "webhook.json").read_text()) == hookline("schema", "webhook").json


def test_every_setting_is_shown_with_its_origin(hookline, config, monkeypatch):
    (config / "pipeline.yaml").write_text("shards: 4\nepoch: 2s\n")
    monkeypatch.setenv("HOOKLINE_EPOCH", "3s")
    said = hookline("config", "show", "-c", config, "--state", "elsewhere", "--json").json
    assert said["shards"] == {"value": 4, "origin": f"{config}/pipeline.yaml:1"}
    assert said["epoch"] == {"value": 3.0, "origin": "environment HOOKLINE_EPOCH"}
    assert said["state"] == {"value": "elsewhere", "origin": "flag --state"}
    assert said["log.level"]["origin"] == "default"
    shown = hookline("config", "show", "-c", config, columns=160).out
    assert "environment HOOKLINE_EPOCH" in shown
    assert re.search(r"delivery\.retry\.max_age\s+(value\s+)?72h\s", shown), "as a file says it"


def test_a_new_webhook_has_no_problems_and_is_not_overwritten(hookline, tmp_path):
    folder = tmp_path / "fresh"
    said = hookline(
        "new", "refunds", "-c", folder, "--event", "Refund: made #1", "--url", "https://example.com/a?b=c"
    )
    assert said.out.strip() == str(folder / "webhooks" / "refunds.yaml")
    assert hookline("check", "-c", folder).out == f"{folder}: 1 webhook, no problems\n"
    assert hookline("new", "refunds", "-c", folder).code == 2
    assert hookline("new", "refunds", "-c", folder, "--force").code == 0
    assert hookline("new", "Not An Id", "-c", folder).code == 2
    said = hookline("new", "signups.yaml", "-c", folder)
    assert said.out.strip() == str(folder / "webhooks" / "signups.yaml")


@pytest.mark.parametrize("id", ["123", "Big.Sale", "null", "a.test", "_base", "1.50"])
def test_a_new_webhook_may_be_called_what_an_id_may_be(hookline, tmp_path, id):
    hookline("new", id, "-c", tmp_path, "--from", "kpi-counter")
    hookline("new", f"{id}-2", "-c", tmp_path)
    said = hookline("check", "-c", tmp_path, "--offline")
    assert said.out == f"{tmp_path}: 2 webhooks, no problems\n"
    said = hookline("test", "-c", tmp_path)
    assert (said.code, said.out.splitlines()[-1]) == (0, "2 passed, 0 failed in 1 file")


def test_what_is_commented_in_a_new_webhook_works_too(hookline, tmp_path):
    hookline("new", "all", "-c", tmp_path)
    path = tmp_path / "webhooks" / "all.yaml"
    lines = []
    for line in path.read_text().splitlines():
        bare = line.lstrip(" ")
        code = bare.removeprefix("# ")
        is_code = bare.startswith("# ") and (": " in code or code.startswith("- ") or code.endswith(":"))
        prose = ("yaml-language-server", "Every field", "A value that")
        lines.append(" " * (len(line) - len(bare)) + code if is_code and not code.startswith(prose) else line)
    path.write_text("\n".join(lines) + "\n")
    said = hookline("check", "-c", tmp_path, "--offline")
    assert said.code == 0, said.out
    assert "delivery:" in path.read_text().replace("# delivery:", "")


# --- test


def test_config_tests_are_run_and_counted(hookline, config, tmp_path):
    said = hookline("test", "-c", config, "--junit", tmp_path / "junit.xml")
    assert said.code == 0
    assert said.out.splitlines()[-1] == "1 passed, 0 failed in 1 file"
    assert ET.parse(tmp_path / "junit.xml").getroot().get("tests") == "1"


def test_a_config_test_that_does_not_hold_shows_the_difference(hookline, config):
    path = config / "webhooks" / "big.test.yaml"
    path.write_text(TEST.replace("who: Ada", "who: Bob"))
    said = hookline("test", "-c", config, path)
    assert said.code == 1
    assert '- "Bob"' in said.out
    assert '+ "Ada"' in said.out
    assert hookline("test", "-c", config, "--json").json[0]["passed"] is False


def test_no_tests_at_all_is_wrong_usage(hookline, config):
    (config / "webhooks" / "big.test.yaml").unlink()
    assert hookline("test", "-c", config).code == 2


def test_a_test_that_cannot_be_read_fails_and_an_editor_s_lock_is_none(hookline, config):
    for name in (".#big.test.yaml", "lost.test.yaml"):
        (config / "webhooks" / name).symlink_to("nowhere")
    said = hookline("test", "-c", config)
    assert (said.code, "FAILED webhooks/lost.test.yaml" in said.out) == (1, True)
    assert "#big" not in said.out


# --- explain


def test_each_clause_is_explained_with_what_it_saw(hookline, config, file):
    event, user = file("event.json", EVENT), file("user.json", USER)
    said = hookline("explain", "-c", config, "--event", event, "--user", user, "--json")
    assert said.code == 0
    (one,) = said.json
    assert (one["webhook"], one["fires"], one["verdict"]) == ("big", True, "fires")
    assert [(clause["path"], clause["value"], clause["holds"]) for clause in one["clauses"]] == [
        ("event.name", "Purchase", True),
        ("event.properties.amount", 250, True),
        ("user.properties.plan", "pro", True),
    ]
    assert one["request"]["body"] == {"who": "Ada", "amount": 250}
    assert one["request"]["url"] == "https://example.com/hook?k=%24%7BKEY%7D"


def test_an_event_that_does_not_fire_says_why_with_exit_code_1(hookline, config, file):
    event = file("event.json", EVENT)
    said = hookline("explain", "-c", config, "--event", event)
    assert said.code == 1
    assert "big: does not fire on Purchase" in said.out
    assert "✗ user.properties.plan" in said.out
    assert "user.properties.plan is missing" in said.out


def test_what_authenticates_and_signs_a_request_is_named_and_not_shown(hookline, config, file):
    (config / "webhooks" / "signed.yaml").write_text(
        'id: signed\ntrigger: {events: "*"}\nrequest:\n  url: "https://example.com"\n'
        '  auth: {bearer: {token: "${KEY}"}}\n'
        '  signature: {hmac: {header: X-Sig, secret: "${KEY}", timestamp_header: X-Time}}\n'
    )
    said = hookline("explain", "-c", config, "--event", file("event.json", EVENT), "--webhook", "signed")
    assert "\nAuthorization: (Bearer ${KEY})\nX-Sig: (made when it is sent)\n" in said.out
    assert "\nX-Time: (the time when it is sent)\n" in said.out


def test_an_event_of_any_shape_is_understood_and_a_broken_one_is_named(hookline, config, file):
    segment = {"type": "track", "event": "Purchase", "userId": "u1", "properties": {"amount": 500}}
    user = file("user.json", USER["properties"])
    assert hookline("explain", "-c", config, "--event", file("a.json", segment), "--user", user).code == 0
    said = hookline("explain", "-c", config, "--event", file("b.json", {"type": "event"}))
    assert said.code == 1
    assert "b.json: error[record]: the event has no `name`" in said.err
    broken = file("c.json", {})
    broken.write_text("{")
    assert f"{broken}:1:" in hookline("explain", "-c", config, "--event", broken).err


def test_an_event_is_explained_with_its_own_times(hookline, config, file):
    times = 'body: {t: "{{ event.time }}", r: "{{ event.received_at }}", i: "{{ event.id }}"}'
    (config / "webhooks" / "times.yaml").write_text(
        f'id: times\ntrigger: {{events: "*"}}\nrequest: {{url: "https://example.com", {times}}}\n'
    )

    def body(record):
        asked = ("explain", "-c", config, "--event", file("event.json", record), "--webhook", "times")
        (one,) = hookline(*asked, "--json").json
        return one["request"]["body"]

    event = {"type": "event", "id": "7", "name": "A", "user_id": "u"}
    stamped = {**event, "time": 1_700_000_000}
    recorded = {"hookline": 1, "source": "t/0", "offset": 4, "time": 1_700_000_001_000, "value": event}
    assert body(event) == {"t": None, "r": None, "i": "7"}
    assert body(stamped) == {"t": "2023-11-14T22:13:20.000Z", "r": None, "i": "7"}
    assert body(recorded)["t"] == body(recorded)["r"] == "2023-11-14T22:13:21.000Z"


def test_a_rendering_that_is_a_dead_letter_ends_with_1(hookline, config, file):
    (config / "webhooks" / "dead.yaml").write_text(
        'id: dead\ntrigger: {events: "*"}\nrequest: {url: "https://example.com", body: {x: '
        '"{{ event.properties.gone | require }}"}}\n'
    )
    event, user = file("event.json", EVENT), file("user.json", USER)
    said = hookline("explain", "-c", config, "--event", event, "--user", user)
    assert said.code == 1
    assert "big: fires" in said.out
    assert "dead: matches, but cannot be rendered" in said.out
    assert hookline("explain", "-c", config, "--event", event, "--user", user, "--webhook", "big").code == 0


def test_an_unknown_webhook_is_wrong_usage(hookline, config, file):
    said = hookline("explain", "-c", config, "--event", file("event.json", EVENT), "--webhook", "bgi")
    assert said.code == 2
    assert "did you mean `big`?" in said.err


# --- diff


def test_diff_counts_what_appears_vanishes_and_changes(hookline, config, tmp_path):
    other = tmp_path / "other"
    (other / "webhooks").mkdir(parents=True)
    changed = WEBHOOK.replace("gte: 100", "gte: 200").replace('amount: "{{', 'sum: "{{')
    (other / "webhooks" / "big.yaml").write_text(changed)
    (other / "webhooks" / "new.yaml").write_text(
        WEBHOOK.replace("id: big", "id: new").replace("gte: 100", "gte: 300")
    )
    stream = tmp_path / "events.jsonl"
    lines = [{"type": "user", "user_id": "u1", "set": USER["properties"]}]
    lines += [
        {"type": "event", "user_id": "u1", "name": "Purchase", "properties": {"amount": n}}
        for n in (150, 250, 350)
    ]
    stream.write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = hookline("diff", config, other, "--stream", stream, "--json").json
    counts = {
        webhook: [one[kind] for kind in ("same", "appear", "vanish", "change")]
        for webhook, one in found.items()
    }
    assert counts == {"big": [0, 0, 1, 2], "new": [0, 1, 0, 0]}
    (vanished,) = found["big"]["samples"]["vanish"]
    assert vanished["old"]["body"]["amount"] == 150
    said = hookline("diff", config, other, "--stream", stream, "--exit-code")
    assert said.code == 1
    assert '+ POST https://example.com/hook?k=%24%7BKEY%7D {"who":"Ada","sum":250}' in said.out
    assert hookline("diff", config, config, "--stream", stream, "--exit-code").code == 0


# --- send


@pytest.fixture
def local(config: Path) -> Callable[[Receiver], None]:
    def local(receiver: Receiver) -> None:
        (config / "webhooks" / "big.yaml").write_text(
            WEBHOOK.replace("https://example.com", receiver.url(""))
        )

    return local


def test_send_makes_one_real_request_marked_as_a_test(hookline, config, file, local, monkeypatch):
    monkeypatch.setenv("KEY", "hunter2hunter2")
    event, user = file("event.json", EVENT), file("user.json", USER)
    with Receiver({"*": [{"status": 202, "body": "thanks"}]}) as receiver:
        local(receiver)
        words = [
            "send",
            "-c",
            config,
            "--webhook",
            "big",
            "--event",
            event,
            "--user",
            user,
            "--allow",
            "127.0.0.0/8",
        ]
        said = hookline(*words, "--json")
    assert said.code == 0
    assert said.json["answer"]["outcome"] == "delivered"
    assert said.json["answer"]["status"] == 202
    (request,) = receiver.requests
    assert request.headers["webhook-test"] == "true"
    assert request.query == "k=hunter2hunter2"
    assert json.loads(request.body) == {"who": "Ada", "amount": 250}
    assert "hunter2" not in said.out + said.err


def test_send_takes_a_line_of_a_stream_and_it_happens_now_where_it_says_no_time(
    hookline, config, local, tmp_path, monkeypatch
):
    monkeypatch.setenv("KEY", "k")
    event = {"type": "event", "name": "Purchase", "user_id": "u1", "properties": {"amount": 7}}
    stream = tmp_path / "stream.jsonl"
    stream.write_text('{"type": "user", "user_id": "u1", "set": {}}\n' + json.dumps(event) + "\n")
    with Receiver() as receiver:
        local(receiver)
        words = ["send", "-c", config, "--webhook", "big", "--allow", "127.0.0.0/8", "--event", stream]
        said = hookline(*words, "--line", 2)
    (request,) = receiver.requests
    assert (said.code, json.loads(request.body)["amount"]) == (0, 7)
    assert hookline(*words, "--line", 3).code == 2
    assert "`--line N` takes the n-th" in hookline(*words).err
    stream.write_bytes(gzip.compress(stream.read_bytes()))
    assert "it is compressed" in hookline(*words).err
    stream.write_text("{}", encoding="utf-16")
    assert "iconv" in hookline(*words).err


def test_send_tries_once_and_says_what_came(hookline, config, file, local, monkeypatch):
    monkeypatch.setenv("KEY", "k")
    with Receiver({"*": [{"status": 503, "body": "busy"}]}) as receiver:
        local(receiver)
        said = hookline(
            "send",
            "-c",
            config,
            "--webhook",
            "big",
            "--event",
            file("e.json", EVENT),
            "--allow",
            "127.0.0.0/8",
        )
    assert said.code == 1
    assert "big does not fire on this event" in said.err
    assert "status 503" in said.out
    assert "busy" in said.out
    assert len(receiver.requests) == 1


def test_send_is_guarded_like_any_delivery(hookline, config, file, local, monkeypatch):
    monkeypatch.setenv("KEY", "k")
    with Receiver({"*": [200]}) as receiver:
        local(receiver)
        said = hookline("send", "-c", config, "--webhook", "big", "--event", file("e.json", EVENT))
    assert said.code == 1
    assert "loopback" in said.err
    assert receiver.requests == []
