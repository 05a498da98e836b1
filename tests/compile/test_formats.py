"""Which shape reads which topic and file: from pipeline.yaml and shapes/ to the versions of a job."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.compile.shapes import read_formats
from pipeline.compile.snapshot import compile_config
from pipeline.config.files import ConfigText, read_config
from pipeline.config.job import PipelineConfig, load_pipeline
from pipeline.config.models.installation.source import KafkaSource
from pipeline.kafka.client import KafkaSettings
from pipeline.model.errors import ConfigError
from pipeline.model.findings import render
from pipeline.runtime.readers import make_readers, sides_of
from pipeline.sources.chunk import RawChunk

SHOP = "name: shop\nrecords: {event: {name: type, user_id: uid, time: {path: ts, unit: s}}}\n"
PEOPLE = "records: {user: {user_id: id, set: '*', time: at}}\n"


class Config:
    """A config directory with a webhook, custom shapes and a pipeline.yaml."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name, text in {
            "webhooks/a.yaml": "id: a\ntrigger: {events: [A]}\nrequest: {url: 'https://x.example/'}\n",
            "shapes/shop.yaml": SHOP,
            "shapes/people.yaml": PEOPLE,
        }.items():
            self.write(name, text)

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def load(self, pipeline: str, **flags: Any) -> PipelineConfig:
        self.write("pipeline.yaml", pipeline)
        named = {name.replace("_", "."): value for name, value in flags.items()}
        return load_pipeline(self.folder, environ={}, flags=named).require()

    def findings(self, pipeline: str = "{}") -> str:
        self.write("pipeline.yaml", pipeline)
        report = load_pipeline(self.folder, environ={})
        if report.config is None:
            return render(report.findings)
        return compile_config(self.text(report.config), secrets=None).render()

    def text(self, config: PipelineConfig) -> ConfigText:
        return read_config(self.folder, environ={}, defaults=config.defaults)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(tmp_path)


TOPICS = """
source:
  kafka:
    brokers: b:9092
    events: [plain]
    users: [crm]
    format: segment
    topics:
      orders: {format: shop}
      people: {format: people}
      crm: {format: people}
      mixed: {format: {records: {event: {name: n, user_id: u}}}, side: both}
      clicks: {format: cloudevents}
      raw: {format: auto}
"""


def test_topics_have_formats_and_sides_of_their_own(config: Config) -> None:
    loaded = config.load(TOPICS)
    formats = read_formats(config.folder, loaded.defaults)
    topics = ("plain", "crm", "orders", "people", "clicks", "raw", "other")
    names = {topic: formats.of(f"{topic}/3").name for topic in topics}
    assert names == {
        "plain": "segment", "crm": "people", "orders": "shop", "people": "people", "clicks": "cloudevents",
        "raw": "auto", "other": "segment",
    }  # fmt: skip
    assert isinstance(loaded.source, KafkaSource)
    sides = sides_of(loaded.source, formats)
    assert sides == {
        "orders": "events", "people": "users", "crm": "users", "mixed": "both", "clicks": "events",
        "raw": "both",
    }  # fmt: skip
    settings = KafkaSettings.of(loaded.source, sides=sides)
    assert (settings.users, settings.both, settings.events) == (
        ("people", "crm"),
        ("mixed", "raw"),
        ("plain", "orders", "clicks"),
    )
    assert settings.topics[:4] == ("people", "crm", "mixed", "raw")
    assert [settings.side_of(topic) for topic in ("crm", "raw", "plain")] == ["users", "both", "events"]


def test_topics_of_events_alone_may_hold_updates_where_no_topic_is_said_to() -> None:
    settings = KafkaSettings("b", events=("a", "b"))
    assert [settings.side_of(topic) for topic in settings.topics] == ["both", "both"]


def test_a_topic_that_is_said_to_hold_events_alone_holds_no_updates_though_no_other_does() -> None:
    topics: dict[str, dict[str, str]] = {"said": {"side": "events"}, "listed": {}, "by-shape": {}}
    model = KafkaSource.model_validate({"brokers": "b", "events": ["listed", "other"], "topics": topics})
    settings = KafkaSettings.of(model, sides=dict.fromkeys(topics, "events"))
    assert {topic: settings.side_of(topic) for topic in settings.topics} == {
        "said": "events", "listed": "both", "by-shape": "events", "other": "both",
    }  # fmt: skip


def test_a_recording_of_topics_keeps_their_formats(config: Config) -> None:
    loaded = config.load(TOPICS, source_jsonl_paths=["x.jsonl"])
    formats = read_formats(config.folder, loaded.defaults)
    assert formats.of("orders/0", "x.jsonl").name == "shop"
    assert formats.of("plain~2/0").name == "segment"
    assert formats.of("x.jsonl").name == "auto"
    by_flag = config.load(TOPICS, source_jsonl_paths=["x.jsonl"], source_jsonl_format="shop")
    assert read_formats(config.folder, by_flag.defaults).of("plain/0").name == "shop"


def test_a_version_says_which_shape_reads_what_wherever_it_is_compiled(config: Config) -> None:
    text = config.text(config.load(TOPICS))
    again = ConfigText.from_bytes(text.to_bytes())
    assert again.hash == text.hash
    snapshot = compile_config(again, secrets=None, stored=True).require()
    assert snapshot.says_formats
    assert snapshot.formats.of("orders/0").name == "shop"
    assert snapshot.formats.of("mixed/0").side == "events"
    config.write("shapes/shop.yaml", SHOP + "# edited\n")
    assert config.text(config.load(TOPICS)).hash != text.hash, "an edit of a shape is a new version"
    older = json.loads(text.to_bytes()) | {"language": 2}
    old_text = ConfigText.from_bytes(json.dumps(older).encode())
    assert not compile_config(old_text, secrets=None, stored=True).require().says_formats


def test_paths_have_formats_and_their_files_are_merged_by_what_these_say(config: Config) -> None:
    paths = "{path: o.jsonl, format: shop}, {path: p, format: people}, e.jsonl"
    loaded = config.load(f"source: {{jsonl: {{paths: [{paths}]}}}}")

    config.write("o.jsonl", '{"type":"A","uid":"u","ts":10}\n{"type":"B","uid":"u","ts":"30"}\n')
    config.write("p/2026.jsonl", '{"id":"u","x":1,"at":"1970-01-01T00:00:20Z"}\n{"id":"u","x":2,"at":30}\n')
    config.write("e.jsonl", '{"type":"event","name":"N","user_id":"u","time":"1970-01-01T00:00:25Z"}\n')
    formats = read_formats(config.folder, loaded.defaults)
    chunks: list[RawChunk] = []
    reader = make_readers(loaded, formats=formats).open("recording", None)
    while not reader.done:
        chunk = reader.read(100)
        if chunk is not None:
            chunks.append(chunk)
    reader.close()
    order = [(chunk.sources[at], chunk.offsets[at]) for chunk in chunks for at in range(len(chunk))]
    # At 30 seconds the update goes before the event.
    assert order == [("o.jsonl", 0), ("2026.jsonl", 0), ("e.jsonl", 0), ("2026.jsonl", 45), ("o.jsonl", 31)]
    parts = [one for chunk in chunks for one in (chunk.parts or ())]
    assert [formats.of("x", part).name for part in parts] == ["shop", "people", "auto", "people", "shop"]
    # Of a dead letter only the origin is known, which may be of a file that was rotated.
    assert [formats.of(name).name for name in ("o.jsonl", "o.jsonl~2", "x.jsonl~2")] == [
        "shop",
        "shop",
        "auto",
    ]


@pytest.mark.parametrize(
    ("pipeline", "place", "hint"),
    [
        ("source: {jsonl: {paths: [x], format: shopp}}", "1:38", "did you mean `shop`?"),
        ("source: {jsonl: {paths: [{path: x, format: segmnt}]}}", "1:44", "did you mean `segment`?"),
        (
            "source: {kafka: {brokers: b, topics: {t: {format: nix}}}}",
            "1:51",
            "custom shapes are files in shapes/",
        ),
        ("source: {kafka: {brokers: b, topics: {t: {sides: both}}}}", "1:43", "did you mean `side`?"),
        (
            "source: {kafka: {brokers: b, topics: {t: {side: all}}}}",
            "1:49",
            "must be `events`, `users` or `both`",
        ),
        ("source: {kafka: {brokers: b, topics: {t: {format: 5}}}}", "1:51", "must be a text"),
        ("source: {jsonl: {paths: [x], format: {record: 1}}}", "1:39", "did you mean `records`?"),
        ("source: {jsonl: {paths: [x], format: {records: {event: {nam: a, user_id: b}}}}}", "1:57", "`name`"),
        (
            "source: {jsonl: {paths: [x], format: {records: {event: {name: a..b, user_id: b}}}}}",
            "1:65",
            "one dot is enough: a.b",
        ),
        (
            "source: {jsonl: {paths: [x], format: {records: {event: {name: a.b || c, user_id: b}}}}}",
            "1:66",
            "of several paths the first that is set: [a.b, c]",
        ),
        (
            "source: {kafka: {brokers: b, topics: {t: {format: "
            "{records: [{event: {name: ^.a, user_id: b}}]}}}}}",
            "1:77",
            "`each`",
        ),
        (
            "source: {jsonl: {paths: [{path: x, format: {records: {event: {name: ^.a, user_id: b}}}}]}}",
            "1:69",
            "`each`",
        ),
    ],
)
def test_findings_of_formats_have_their_places_in_pipeline_yaml(
    config: Config, pipeline: str, place: str, hint: str
) -> None:
    said = config.findings(pipeline)
    assert f"pipeline.yaml:{place}: error" in said, said
    assert hint in said


def test_names_of_own_shapes_are_theirs_alone(config: Config) -> None:
    config.write("shapes/other.yaml", SHOP)
    config.write("shapes/heap.yaml", PEOPLE)
    said = config.findings()
    assert "the name `shop` is already used in shapes/other.yaml" in said
    assert "`heap` is the name of a built-in shape" in said


def test_a_broken_shape_is_told_once_with_its_place(config: Config) -> None:
    config.write("shapes/shop.yaml", "name: shop\nrecords: [{evnt: {}}]\n")
    said = config.findings("source: {jsonl: {paths: [x], format: shop}}")
    assert "shapes/shop.yaml:2:12: error[unknown-field]" in said
    assert "did you mean `event`?" in said
    assert "1 problem in 1 file" in said
    with pytest.raises(ConfigError, match="evnt"):
        read_formats(config.folder, config.load("source: {jsonl: {paths: [x], format: shop}}").defaults)


def test_files_beside_the_shapes_that_look_meant_are_told_of(config: Config) -> None:
    config.write("shapes/more.json", "{}")
    config.write("shapes/a.test.yaml", "lines: [{}]\nexpect: []\n")
    assert "shapes/more.json: warning[not-read]" in config.findings()
