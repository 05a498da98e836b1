"""Secrets stay placeholders until they are used: in no version, no listing, no body that is stored."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.config.files import read_config
from pipeline.config.job import load_pipeline
from pipeline.config.models.job import KafkaSource
from pipeline.model.findings import render

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
