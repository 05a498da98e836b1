from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.config.job import load_pipeline
from pipeline.config.models.installation.source import JsonlSource, KafkaSource
from pipeline.model.findings import render
from pipeline.operate.check import check


@pytest.fixture
def load(tmp_path: Path):
    def run(collect: str, *, env=None, flags=None, collects: bool = False, source: str = ""):
        text = f"collect: {collect}\n" + (f"source: {source}\n" if source else "")
        (tmp_path / "pipeline.yaml").write_text(text)
        return load_pipeline(tmp_path, environ=env or {}, flags=flags, collects=collects)

    return run


WEB = "web: {key: wk_1, origins: https://shop.example}"


def test_a_laptop_needs_one_line_and_the_job_follows_what_is_collected(load, tmp_path: Path) -> None:
    config = load("{keys: any}").require()
    section = config.file.collect
    assert section is not None
    assert (section.address, section.to.recording) == (("127.0.0.1", 8080), str(tmp_path / "collected"))
    assert config.source == JsonlSource(paths=[str(tmp_path / "collected")], follow=True)


def test_the_example_of_the_design_is_understood(load) -> None:
    section = load(
        "{listen: 127.0.0.1:8080, to: {recording: ./collected}, keys: {web: {key: wk_live_1, origins: "
        '["https://shop.example"], protocols: [segment, posthog]}, server: {key: ["${file:secrets/wk}", '
        '"${file:secrets/wk_old}"]}}, '
        'hooks: {stripe: {verify: {stripe: "${STRIPE_SECRET}"}, format: native}}, '
        "limits: {body: 20MiB, member: 1MiB, members: 5000, in_flight: 64MiB, hold: 5s}, "
        "clock: {correct: true, tolerance: 5s, max_future: 1m}, dedupe: 10m}"
    ).require().file.collect  # fmt: skip
    assert section is not None
    assert section.keys["web"].protocols == ["segment", "posthog"]
    assert "mixpanel" not in section.keys["server"].protocols
    assert section.keys["server"].key == ["${file:secrets/wk}", "${file:secrets/wk_old}"]
    assert section.hooks["stripe"].verify.way == ("stripe", ["${STRIPE_SECRET}"])


def test_a_topic_is_read_as_what_was_collected(load) -> None:
    config = load(
        "{keys: any, to: {kafka: {brokers: b, topic: e, settings: {sasl.password: '${P}'}}}}", env={"P": "p"}
    ).require()
    assert isinstance(config.source, KafkaSource)
    assert config.source.topics["e"].format == "collected"
    assert config.source.settings == {"sasl.password": "p"}
    assert config.formats == {"topics": {"e": "collected"}}
    shown = {one.name: one.value for one in config.settings if one.origin == "collect"}
    assert shown["source.kafka.topics"]["e"]["format"] == "collected"
    assert shown["source.kafka.settings"] == {"sasl.password": "***"}
    assert list(shown) == ["source.kafka.brokers", "source.kafka.topics", "source.kafka.settings"]


def test_a_key_takes_no_placeholder_in_its_default(load) -> None:
    found = load("{keys: {web: {key: '${A:-${B}}'}}}", env={"A": "a", "B": "b"}, collects=True).findings
    assert [one.message for one in found] == ["a default is a text and holds no placeholder"]


def test_what_is_said_of_the_topic_counts(load, tmp_path: Path) -> None:
    collect = "{keys: any, to: {kafka: {brokers: b, topic: e}}}"
    named = "{kafka: {brokers: b, events: [e], users: [u]}}"
    assert load(collect, source=named).require().formats == {"topics": {"e": "collected"}}
    named = "{kafka: {brokers: b, topics: {e: {format: native}}}}"
    assert load(collect, source=named).require().formats == {"topics": {"e": "native"}}


def test_follow_alone_says_nothing_new(load, tmp_path: Path) -> None:
    config = load("{keys: any}", flags={"source.jsonl.follow": True}).require()
    assert config.source == JsonlSource(paths=[config.collected], follow=True)


def test_a_named_source_wins(load, tmp_path: Path) -> None:
    source = load("{keys: any}", flags={"source.jsonl.paths": ["a.jsonl"]}).require().source
    assert source == JsonlSource(paths=["a.jsonl"])


@pytest.mark.parametrize(
    ("collect", "place", "told"),
    [
        (
            "{hooks: {a: {verify: {github: s}, format: collected}}}",
            "1:52",
            "not of what it is sent",
        ),
        ("{}", "1:1", "nobody may send anything: name `keys` or `hooks`"),
        ("{keys: any, listen: 0.0.0.0:8080}", "1:10", "other machines reach `0.0.0.0:8080`"),
        ("{keys: any, listen: '[::]:80'}", "1:10", "name the keys, or listen on 127.0.0.1"),
        ("{keys: any, listen: localhost}", "1:30", "write PORT or HOST:PORT"),
        ("{keys: any, listen: ':80'}", "1:30", "write PORT or HOST:PORT"),
        ("{keys: any, listen: '1.2.3.4:65536'}", "1:30", "write PORT or HOST:PORT"),
        ("{keys: all}", "1:17", "`keys` is a map of names"),
        ("{keys: [wk_1]}", "1:17", "`keys` is a map of names"),
        ("{keys: {web: wk_1}}", "1:23", "for example `web: {key: wk_live_1, origins: ["),
        ("{keys: {web: {key: 7}}}", "1:29", "must be a text or a list, not the number 7"),
        ("{keys: any, to: {file: a}}", "1:27", "did you mean `recording`?"),
        ("{keys: {a b: {key: k}}}", "1:18", "an id is 1 to 64 of the characters"),
        ("{keys: {web: {key: k, protocols: [segmnt]}}}", "1:44", "did you mean `segment`?"),
        ("{keys: {web: {key: k, protocols: []}}}", "1:43", "must not be empty"),
        ("{keys: {web: {key: []}}}", "1:29", "must not be empty"),
        ("{keys: {web: {key: ''}}}", "1:29", "is empty"),
        ("{keys: {web: {key: ' k'}}}", "1:29", "has spaces around it"),
        ("{keys: {a: {key: k}, b: {key: [x, k]}}}", "1:44", "`keys.a` has the same key"),
        ("{keys: {a: {key: [k, k]}}}", "1:31", "the same key stands here twice"),
        ("{keys: {a: {key: k, origins: shop.example}}}", "1:39", "did you mean `https://shop.example`?"),
        ("{keys: {a: {key: k, origins: 'localhost:3000'}}}", "1:39", "did you mean `http://localhost:3000`?"),
        ("{keys: {a: {key: k, origins: 'https://shop.example/'}}}", "1:39", "as `https://shop.example`"),
        ("{keys: {a: {key: k, origins: 'https://Shop.example:443'}}}", "1:39", "as `https://shop.example`"),
        ("{keys: {a: {key: k, origins: 'https://käse.example'}}}", "1:39", "as `https://xn--kse-qla.example`"),
        ("{keys: {a: {key: k, origins: 'https://straße.example'}}}", "1:39", "`https://xn--strae-oqa.example`"),
        ("{keys: {a: {key: k, origins: 'https://*.shop.example'}}}", "1:39", "name each origin"),
        ("{keys: {a: {key: k, origins: 'ftp://shop.example'}}}", "1:39", "an origin is `https://`"),
        ("{keys: {a: {key: k, origins: 'null'}}}", "1:39", "an origin is `https://`"),
        ("{hooks: {s: {format: native}}}", "1:19", "needs the field `verify`"),
        ("{hooks: {s: {verify: {stripe: k}}}}", "1:19", "needs the field `format`"),
        ("{hooks: {s: {verify: {}, format: native}}}", "1:23", "`verify` needs one of `stripe`, `github`"),
        ("{hooks: {s: {verify: {strip: k}, format: native}}}", "1:32", "did you mean `stripe`?"),
        ("{hooks: {s: {verify: {stripe: k, github: g}, format: native}}}", "1:23", "exclude each other"),
        ("{hooks: {s: {verify: {stripe: k}, format: nativ}}}", "1:52", "did you mean `native`?"),
        ("{keys: any, to: {}}", "1:22", "`to` needs `recording` or `kafka`"),
        ("{keys: any, to: {recording: a, kafka: {brokers: b, topic: t}}}", "1:22", "exclude each other"),
        ("{keys: any, to: {kafka: {brokers: b, topic: t}}, keep: 1d}", "1:1", "`keep` is of `to: {recording"),
        ("{keys: any, limits: {hold: 10s}}", "1:37", "5s (SDKs give up after ten) at most"),
        ("{keys: any, limits: {body: 1MiB, member: 2MiB}}", "1:30", "`member` must be no more than `body`"),
        ("{keys: any, limits: {in_flight: 1}}", "1:42", "must be 1048576 or more"),
        ("{keys: any, limits: {members: 0}}", "1:40", "must be 1 or more"),
        ("{keys: any, dedupe: 2d}", "1:30", "`dedupe` is 24h at most"),
        ("{keys: any, order: 2s}", "1:29", "`order` is 1s at most"),
        ("{keys: any, keep: 0s}", "1:28", "`keep` is longer than nothing"),
        ("{keys: any, lisen: 8080}", "1:22", "did you mean `listen`?"),
    ],
)  # fmt: skip
def test_what_is_wrong_names_its_place_and_a_remedy(load, collect: str, place: str, told: str) -> None:
    report = load(collect)
    text = render(report.findings, root="config")
    assert report.config is None, collect
    assert f"config/pipeline.yaml:{place}: error" in text, text
    assert told in text, text


@pytest.mark.parametrize(
    "collect",
    [
        "{keys: any, listen: 9000}",
        "{keys: any, listen: '[::1]:9000'}",
        "{keys: any, listen: 'localhost:9000'}",
        f"{{keys: {{{WEB}}}, listen: '0.0.0.0:80'}}",
        "{keys: {web: {key: k, origins: ['*', 'http://localhost:3000', 'https://[::1]:8443']}}}",
        "{keys: {app: {key: k, origins: ['capacitor://localhost', 'chrome-extension://abcdefgh']}}}",
        "{keys: any, dedupe: 0s, order: 0s, retain: 0s, segment: 1GiB}",
    ],
)
def test_what_is_meant_is_taken(load, collect: str) -> None:
    assert load(collect).findings == []


@pytest.mark.parametrize("folder", ["state", "state/collected", "."])
def test_a_recording_and_the_state_have_folders_of_their_own(load, folder: str) -> None:
    report = load(f"{{keys: any, to: {{recording: {folder}}}}}")
    assert [found.code for found in report.findings] == ["same-folder"]


@pytest.mark.parametrize(
    ("to", "source", "is_read"),
    [
        ("{recording: c}", "{jsonl: {paths: [c], follow: true}}", True),
        ("{recording: c}", "{jsonl: {paths: [shop.jsonl]}}", False),
        ("{recording: c}", "{kafka: {brokers: b, events: e}}", False),
        ("{kafka: {brokers: b, topic: e}}", "{kafka: {brokers: b, events: e}}", True),
        ("{kafka: {brokers: b, topic: e}}", "{kafka: {brokers: b, events: other}}", False),
    ],
)
def test_what_nobody_reads_is_warned_of(load, tmp_path: Path, to: str, source: str, is_read: bool) -> None:
    report = load(f"{{keys: any, to: {to}}}\nsource: {source}")
    assert [(found.code, found.warning) for found in report.findings] == [("not-read", True)] * (not is_read)


SECRET = "{keys: {web: {key: '${WK}'}, old: {key: [wk_2, '${file:wk}']}}}"


def test_secrets_are_looked_up_by_who_needs_them_alone(load, tmp_path: Path) -> None:
    assert load(SECRET).findings == []
    missing = load(SECRET, collects=True)
    assert [found.code for found in missing.findings] == ["missing-setting", "missing-setting"]
    (tmp_path / "wk").write_text("wk_3\n")
    assert load(SECRET, env={"WK": "wk_1"}, collects=True).findings == []
    same = load(SECRET, env={"WK": "wk_3"}, collects=True)
    assert [found.code for found in same.findings] == ["same-key"]
    assert "wk_3" not in "".join(found.message for found in same.findings)


def test_check_says_what_the_collector_would_miss(tmp_path: Path) -> None:
    (tmp_path / "webhooks").mkdir()
    (tmp_path / "pipeline.yaml").write_text(f"collect: {SECRET}\n")
    assert [found.code for found in check(tmp_path).findings].count("missing-setting") == 2
    assert not [found for found in check(tmp_path, offline=True).findings if found.code == "missing-setting"]


def test_no_key_is_shown(load) -> None:
    keys = "{web: {key: wk_secret, origins: '*'}}"
    collect = f"{{keys: {keys}, hooks: {{s: {{verify: {{github: gh_secret}}, format: native}}}}}}"
    report = load(collect, flags={"collect.listen": "9000"})
    shown = {one.name: (one.value, one.origin) for one in report.require().settings}
    assert shown["collect.listen"] == ("9000", "flag --listen")
    assert shown["collect.hooks"][0] == {"s": {"verify": {"github": "***"}, "format": "native"}}
    assert "wk_secret" not in str(shown)
    assert "gh_secret" not in str(shown)


def test_a_key_that_looks_like_a_shells_variable_is_doubtful(load) -> None:
    report = load("{keys: {web: {key: $WK}}}")
    assert report.config is not None
    assert "1:29: warning[placeholder]" in (text := render(report.findings, root="config"))
    assert "a variable is `${NAME}`" in text
    assert not load("{keys: {web: {key: $7a}}}").findings
