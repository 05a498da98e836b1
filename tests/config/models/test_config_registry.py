"""Formats in the frame of a Schema Registry: what may be said, and that secrets stay placeholders."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.compile.shapes import read_formats
from pipeline.config.files import ConfigText
from pipeline.config.job import PipelineConfig, load_pipeline
from pipeline.decode.framed import avro
from pipeline.decode.framed.schemas import Registry
from pipeline.model.errors import ConfigError

HEAD = "source: {kafka: {brokers: b:9092, topics: {orders: %s}}}"


def load(tmp_path: Path, topic: str, **environ: str) -> PipelineConfig:
    (tmp_path / "webhooks").mkdir(exist_ok=True)
    (tmp_path / "shapes").mkdir(exist_ok=True)
    (tmp_path / "shapes" / "shop.yaml").write_text("records: {event: {name: kind, user_id: id}}\n")
    (tmp_path / "pipeline.yaml").write_text(HEAD % topic)
    return load_pipeline(tmp_path, environ=environ).require()


def refused(tmp_path: Path, topic: str, **environ: str) -> str:
    with pytest.raises(ConfigError) as error:
        read_formats(tmp_path, load(tmp_path, topic, **environ).defaults)
    return str(error.value)


def test_a_topic_says_its_registry_and_what_reads_its_records_then(tmp_path: Path) -> None:
    topic = (
        "{format: {avro: {registry: 'http://${HOST}:8081/apis/ccompat/v7/', then: shop, "
        "username: me, password: '${PASSWORD}', ca: ca.pem}}}"
    )
    config = load(tmp_path, topic, HOST="registry", PASSWORD="hunter2")
    shape = read_formats(tmp_path, config.defaults).of("orders/3")
    assert shape.frame is not None
    assert shape.frame.registry == Registry(
        "http://registry:8081/apis/ccompat/v7", "me", "${PASSWORD}", None, "ca.pem"
    )
    text = ConfigText({}, defaults=config.defaults)
    assert b"hunter2" not in text.to_bytes(), "a version on disk holds the placeholder"
    assert not any("hunter2" in str(setting) for setting in config.settings)


def test_a_password_that_is_written_out_is_not_shown(tmp_path: Path) -> None:
    config = load(tmp_path, "{format: {avro: {registry: 'http://r', token: hunter2}}}")
    assert not any("hunter2" in str(setting.value) for setting in config.settings)


def test_tables_may_stand_in_frames(tmp_path: Path) -> None:
    topic = "{format: {avro: {registry: 'http://r', then: debezium}}, key: id, exclude: [password_hash]}"
    formats = read_formats(tmp_path, load(tmp_path, topic).defaults)
    assert formats.of("orders/0").side == "users"
    inner = load(tmp_path, topic).formats["topics"]["orders"]["avro"]["then"]
    assert inner == {"table": {"key": "id", "exclude": ["password_hash"]}}


def test_json_schema_needs_no_registry(tmp_path: Path) -> None:
    formats = read_formats(tmp_path, load(tmp_path, "{format: {json_schema: {then: shop}}}").defaults)
    assert not formats.have_registries


@pytest.mark.parametrize(
    ("format", "told"),
    [
        ("{avro: {then: shop}}", "registry"),
        ("{avro: {registry: 'ftp://r'}}", "no URL of a registry"),
        ("{avro: {registry: 'registry:8081'}}", "no URL of a registry"),
        ("{avro: {registry: 'http://me:hunter2@r'}}", "`username` and `password` beside it"),
        ("{avro: {registry: 'http://r?x=1'}}", "has a query"),
        ("{avro: {registry: 'http://r', token: a, username: b, password: c}}", "exclude each other"),
        ("{avro: {registry: 'http://r', username: b}}", "stand together"),
        ("{avro: {registry: 'http://r', password: '${NOBODY_HAS_IT}', username: a}}", "NOBODY_HAS_IT"),
        ("{avro: {registry: 'http://r', then: shpo}}", "did you mean `shop`"),
        ("{avro: {registry: 'http://r', then: {avro: {registry: 'http://r'}}}}", "avro"),
        ("{avro: {registry: 'http://r'}, json_schema: {}}", "json_schema"),
        ("{avro: http://r}", "avro"),
        ("{protobuf: {registry: 'http://r'}}", "protobuf"),
    ],
)
def test_what_is_wrong_is_said_at_its_place(tmp_path: Path, format: str, told: str) -> None:
    said = refused(tmp_path, f"{{format: {format}}}")
    assert told in said
    assert "pipeline.yaml:1:" in said


def test_without_the_package_the_message_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(avro, "is_installed", lambda: False)
    said = refused(tmp_path, "{format: {avro: {registry: 'http://r', then: shop}}}")
    assert "pip install 'hookline[registry]'" in said
    assert read_formats(tmp_path, load(tmp_path, "{format: {json_schema: {then: shop}}}").defaults)
