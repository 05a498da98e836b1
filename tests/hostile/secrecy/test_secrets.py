"""Secrets stay placeholders until they are used: in no version, no listing, no body that is stored."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.compile.snapshot import Report, compile_config
from pipeline.config.files import ConfigText, read_config
from pipeline.config.job import load_pipeline
from pipeline.config.models.installation.source import KafkaSource
from pipeline.language.secrets import Secrets
from pipeline.language.slots import fill, mask
from pipeline.model.findings import render
from tests.render.rendering import a_user, an_event

PIPELINE = """\
source:
  kafka:
    brokers: b
    events: e
    settings: {sasl.password: "${PW}", client.id: "id-${PW}", retries: 5, n: "${UNSET:-d}"}
dead_letters:
  kafka: {topic: t, settings: {ssl.key.password: "${file:secrets/key}"}}
delivery:
  client: aiohttp
  proxy: http://user:${PW}@proxy.example:3128
  concurrency: ${N}
"""
CANARY = "canary-s3cret-value"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "webhooks").mkdir()
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/key").write_text(f"{CANARY}-file\n")
    (tmp_path / "pipeline.yaml").write_text(PIPELINE)
    return tmp_path


def test_placeholders_of_pipeline_yaml_stay_what_they_are_until_they_are_used(folder: Path) -> None:
    config = load_pipeline(folder, environ={"PW": CANARY, "N": "3"}).require()
    assert isinstance(config.source, KafkaSource)
    assert config.source.settings == {
        "sasl.password": CANARY, "client.id": f"id-{CANARY}", "retries": 5, "n": "d"
    }  # fmt: skip
    copies = config.file.dead_letters.kafka
    assert copies is not None
    assert copies.settings == {"ssl.key.password": f"{CANARY}-file"}
    assert config.delivery["concurrency"] == 3
    shown = json.dumps([list(setting) for setting in config.settings])
    assert "canary" not in shown
    assert "id-${PW}" in shown
    assert "http://proxy.example:3128" in shown
    assert b"canary" not in read_config(folder, defaults=config.defaults).to_bytes()


@pytest.mark.parametrize("url", ["http://me:pa55@proxy.example:3128", "http://pa55@proxy.example"])
def test_a_password_that_is_written_out_is_not_listed(folder: Path, url: str) -> None:
    (folder / "pipeline.yaml").write_text(f"delivery: {{client: aiohttp, proxy: '{url}'}}\n")
    config = load_pipeline(folder, environ={}).require()
    assert config.delivery["proxy"] == url
    assert "pa55" not in json.dumps([list(setting) for setting in config.settings])


def test_one_without_a_value_is_found_at_its_place(folder: Path) -> None:
    report = load_pipeline(folder, environ={"N": "3"})
    assert report.config is None
    shown = render(report.findings, root="config")
    assert "pipeline.yaml:5:32: error[missing-setting]: the variable `PW` is not set" in shown


WEBHOOK = """\
id: a
trigger: {{events: [X]{where}}}
vars: {{tok: "key-${{T}}", plain: "$${{x}}", n: {{setting: "${{N}}"}}, deep: {{list: ["${{T}}"]}}}}
request:
  url: "https://x.example/{{{{ vars.tok }}}}/p"
  query: {{k: "{{{{ vars.tok }}}}"}}
  headers: {{X-Key: "{{{{vars.tok}}}}", Authorization: "Bearer {{{{ vars['tok'] }}}}"}}
  body: {body}
"""
BODY = """{a: "{{ vars.tok }}", b: "<{{ vars.tok }}>{{ event.id }}", c: "{{ vars.plain }}",
    d: "{{ vars.n | plus: 1 }}", e: ["{{ vars.deep.list[0] }}"],
    f: "{% if true %}{{ vars.tok }}{% endif %}"}"""
VALUES = {"T": CANARY, "N": "7"}


def compiled_files(folder: Path, webhook: str, label: str = "") -> tuple[ConfigText, Report]:
    (folder / "webhooks/a.yaml").write_text(webhook)
    if label:
        (folder / "labels").mkdir()
        (folder / "labels/l.yaml").write_text(label)
    text = read_config(folder, environ=VALUES)
    return text, compile_config(text, secrets=Secrets(VALUES, folder))


def test_a_secret_in_vars_is_a_slot_wherever_a_request_names_it_alone(folder: Path) -> None:
    text, report = compiled_files(folder, WEBHOOK.format(where="", body=BODY))
    assert report.render() == ""
    assert text.settings == {"N": "7"}
    # As it is stored and sent to other processes, it means the same.
    for version in (text, ConfigText.from_bytes(text.to_bytes())):
        (webhook,) = compile_config(version, secrets=None, stored=version is not text).require().webhooks
        made = webhook.request.render(an_event(), a_user())
        assert CANARY not in repr(made)
        assert mask(made.url) == "https://x.example/key-${T}/p?k=key-%24%7BT%7D"
        url, headers, body = fill(made.url, made.headers, made.body, encoding="json", secrets=Secrets(VALUES))
        assert url == f"https://x.example/key-{CANARY}/p?k=key-{CANARY}"
        assert dict(headers)["X-Key"] == f"key-{CANARY}"
        assert dict(headers)["Authorization"] == f"Bearer key-{CANARY}"
        assert json.loads(body) == {
            "a": f"key-{CANARY}", "b": f"<key-{CANARY}>e1", "c": "${x}", "d": 8, "e": [CANARY],
            "f": f"key-{CANARY}",
        }  # fmt: skip


@pytest.mark.parametrize(
    "body",
    [
        '"{{ vars.tok | upcase }}"',
        '"{{ event.id | append: vars.tok }}"',
        '"{% if vars.tok == event.id %}a{% endif %}"',
        '"{% assign x = vars.tok %}{{ x }}"',
        '{a: "{{ vars }}"}',
        '{a: "{{ vars.deep }}"}',
        '{a: "{{ vars.deep.list[*] }}"}',
        '{a: "{{ vars[event.id] }}"}',
        "{a: {$if: {vars.tok: x}, then: 1}}",
        "{$if: {event.id: {eq: {path: vars.tok}}}, then: 1}",
    ],
)
def test_anywhere_else_in_a_request_it_is_an_error_with_the_remedy(folder: Path, body: str) -> None:
    _, report = compiled_files(folder, WEBHOOK.format(where="", body=body))
    assert report.snapshot is None
    assert "secret" in report.render() or "[*]" in body


@pytest.mark.parametrize(
    "where",
    [
        ", where: [{vars.tok: {eq: x}}]",
        ", where: [{event.id: {eq: {path: vars.tok}}}]",
        ', where: [{event.properties.k: {eq: "${T}"}}]',
        ', where: [{event.properties.k: {in: ["a", "x${T}"]}}]',
        ", repeat: {count: 2, within: 1h, by: vars.tok}",
    ],
)
def test_in_a_condition_it_is_an_error_that_says_setting(folder: Path, where: str) -> None:
    text, report = compiled_files(folder, WEBHOOK.format(where=where, body="{}"))
    assert report.snapshot is None
    assert "setting" in report.render()
    # An accepted version keeps its meaning.
    if "${T}" in where:
        again = ConfigText.from_bytes(text.to_bytes())
        assert compile_config(again, secrets=None, stored=True).snapshot is not None


def test_in_a_label_too_and_the_remedy_works(folder: Path) -> None:
    label = "name: big\nevents: [X]\nwhere: [{event.properties.k: {eq: %s}}]\n"
    _, report = compiled_files(folder, WEBHOOK.format(where="", body="{}"), label % '"${T}"')
    assert "labels/l.yaml:3" in report.render()
    assert 'setting: "${T}"' in report.render()
    (folder / "labels/l.yaml").write_text(label % '{setting: "${T}"}')
    text = read_config(folder, environ=VALUES)
    assert compile_config(text, secrets=Secrets(VALUES)).render() == ""
    assert text.settings["T"] == CANARY


def test_in_a_condition_of_a_body_too_and_the_remedy_works(folder: Path) -> None:
    """It was compared as the text that is written, and never held."""
    body = "{a: {$if: {event.name: %s}, $then: 1, $else: 0}}"
    _, report = compiled_files(folder, WEBHOOK.format(where="", body=body % '"${N}"'))
    assert [found.code for found in report.findings] == ["secret-in-condition"]
    text, report = compiled_files(folder, WEBHOOK.format(where="", body=body % '{setting: "${EVENT:-X}"}'))
    (webhook,) = report.require().webhooks
    assert json.loads(webhook.request.render(an_event(name="X"), a_user()).body) == {"a": 1}
    old = json.loads(text.to_bytes()) | {"language": 3, "settings": {"N": "7"}}
    for written in ('"${EVENT}"', '{eq: {setting: "${EVENT}"}}'):
        old["files"] = {"webhooks/a.yaml": WEBHOOK.format(where="", body=body % written)}
        assert compile_config(ConfigText.from_data(old), secrets=None, stored=True).findings == []


def test_a_version_of_before_keeps_its_settings_in_vars(folder: Path) -> None:
    text, _ = compiled_files(folder, WEBHOOK.format(where="", body='{a: "{{ vars.tok | upcase }}"}'))
    old = json.loads(text.to_bytes())
    del old["language"]
    old["settings"]["T"] = "plain"
    stored = ConfigText.from_bytes(json.dumps(old).encode())
    (webhook,) = compile_config(stored, secrets=None, stored=True).require().webhooks
    assert json.loads(webhook.request.render(an_event(), a_user()).body) == {"a": "KEY-PLAIN"}
