from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from pipeline.config.job import load_pipeline
from pipeline.config.layers import variables
from pipeline.config.models.installation.job import DeadLettersSection
from pipeline.config.models.installation.source import JsonlSource, KafkaSource
from pipeline.model.errors import ConfigError
from pipeline.model.findings import render


@pytest.fixture
def load(tmp_path: Path):
    def run(text: str | None = None, *, env=None, flags=None, check_source: bool = False):
        if text is not None:
            (tmp_path / "pipeline.yaml").write_text(text)
        return load_pipeline(tmp_path, environ=env or {}, flags=flags, check_source=check_source)

    return run


def shown(report) -> str:
    return render(report.findings, root="config")


def origin(report, name: str) -> str:
    return next(setting.origin for setting in report.config.settings if setting.name == name)


def test_every_field_but_the_source_has_a_default(load, tmp_path: Path) -> None:
    config = load().require()
    file = config.file
    assert (config.source, config.state, file.epoch_secs, file.shards) == (None, tmp_path / "state", 1.0, 8)
    assert (file.join.max_wait_secs, file.network.allow, file.exclude) == (None, [], [])
    assert (config.delivery, file.dead_letters) == ({}, DeadLettersSection())
    assert (file.log.level, file.log.format) == ("info", "auto")


def test_the_example_of_the_design_is_understood(load) -> None:
    config = load(
        "source:\n  kafka: {brokers: '127.0.0.1:9092', events: [events], users: [user-properties], "
        "group: hookline, start: earliest}\nstate: ./state\nepoch: 1s\nshards: 8\njoin: {max_wait: null}\n"
        "network: {allow: []}\ndelivery: {}\ndead_letters: {}\nlog: {level: info, format: auto}\n"
    ).require()
    assert isinstance(config.source, KafkaSource)
    assert (config.source.events, config.source.users) == (["events"], ["user-properties"])


def test_a_setting_in_quotes_is_a_number_where_a_field_wants_one(load) -> None:
    text = "shards: '${N}'\nepoch: '${E}'\nlimits: {members: '${N}'}\ndelivery: {concurrency: '${N}'}\n"
    config = load(text, env={"N": "4", "E": "2s"}).require()
    assert (config.file.shards, config.file.epoch_secs, config.file.limits.members) == (4, 2.0, 4)
    assert config.delivery["concurrency"] == 4
    assert 'not the text "four"' in shown(load(text, env={"N": "four", "E": "2s"}))


def test_paths_of_a_variable_replace_the_pair_of_files_that_the_file_names(load) -> None:
    pair = "source: {jsonl: {events: e.jsonl, users: u.jsonl}}\n"
    config = load(pair, env={"HOOKLINE_SOURCE_JSONL_PATHS": "a.jsonl, b.jsonl,"}).require()
    assert isinstance(config.source, JsonlSource)
    assert [config.source.events, config.source.users] == [None, None]
    assert config.source.paths == ["a.jsonl", "b.jsonl"]


@pytest.mark.parametrize(("text", "read"), [("0", False), ("1", True), ("false", False), ("true", True)])
def test_a_variable_says_yes_or_no_in_words_and_digits(load, text: str, read: bool) -> None:
    env = {"HOOKLINE_CONSOLE_READ_ONLY": text, "HOOKLINE_DELIVERY_PROXY": "null"}
    file = load("delivery: {proxy: 'http://p.example'}", env=env).require().file
    assert file.console.read_only is read
    assert file.delivery.proxy is None


def test_environment_wins_over_file_and_flags_over_both(load) -> None:
    report = load(
        "shards: 2\nepoch: 2s\nlog: {level: debug}\n",
        env={
            "HOOKLINE_SHARDS": "3",
            "HOOKLINE_LOG_LEVEL": "error",
            "HOOKLINE_NETWORK_ALLOW": "10.0.0.0/8, ::1/128",
        },
        flags={"log.level": "warning", "state": None},
    )
    config = report.require()
    assert (config.file.shards, config.file.epoch_secs, config.file.log.level) == (3, 2.0, "warning")
    assert config.file.network.allow == ["10.0.0.0/8", "::1/128"]
    assert origin(report, "shards") == "environment HOOKLINE_SHARDS"
    assert origin(report, "log.level") == "flag --log-level"
    assert origin(report, "epoch").endswith("pipeline.yaml:2")
    assert origin(report, "state") == "default"


def test_a_source_named_by_flag_replaces_the_one_of_the_file(load) -> None:
    report = load(
        "source: {kafka: {brokers: b, events: e}}\n",
        flags={"source.jsonl.paths": ["a.jsonl"], "source.jsonl.follow": True},
    )
    assert report.require().source == JsonlSource(paths=["a.jsonl"], follow=True)
    assert origin(report, "source.jsonl.paths") == "flag --source"


def test_every_problem_names_its_layer(load) -> None:
    report = load(
        "shards: 0\nsoruce: {}\nepoch: 1\n",
        env={"HOOKLINE_EPOCH": "soon", "HOOKLINE_SHARD": "1", "HOOKLINE_CONFIG": "x"},
        flags={"log.format": "xml"},
    )
    assert report.config is None
    text = shown(report)
    for told in (
        "config/pipeline.yaml:1:9: error[wrong-value]: `shards` must be 1 or more, not the number 0",
        "config/pipeline.yaml:2:1: error[unknown-field]: `soruce` is not a field of pipeline.yaml",
        "did you mean `source`?",
        "environment HOOKLINE_EPOCH: error[wrong-value]: a duration is a number and a unit",
        "environment HOOKLINE_SHARD: warning[unknown-variable]",
        "did you mean `HOOKLINE_SHARDS`?",
        "flag --log-format: error[wrong-value]: `log.format` must be `auto`, `console` or `json`",
    ):
        assert told in text
    assert "HOOKLINE_CONFIG" not in text
    with pytest.raises(ConfigError, match="5 problems"):
        report.require()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "there is nothing to read: pipeline.yaml has no `source`"),
        (
            "source: {jsonl: {paths: [nowhere.jsonl]}}",
            "1:26: error[missing-path]: there is no file or directory",
        ),
        ("source: {jsonl: {follow: true}}", "a jsonl source needs `paths`, or `events` and `users`"),
        ("source: {jsonl: {paths: [a], events: [b]}}", "`paths` and `events`/`users` exclude each other"),
        (
            "source: {kafka: {brokers: b, events: [a, {topic: c}], users: [[d]]}}",
            "1:42: error[wrong-type]: `source.kafka.events[1]` must be a text, not a map",
        ),
        ("source: {kafka: {brokers: b}}", "a kafka source needs `events`, `users` or both"),
        ("source: {jsonl: {paths: a}, kafka: {brokers: b, events: e}}", "exclude each other: keep one"),
        (
            "network: {allow: [127.0.0.1/8]}",
            "`127.0.0.1/8` is not a network: it has bits set beyond the mask",
        ),
        ("network: {allow: [localhost]}", "`localhost` is not a network: it is no CIDR"),
        ("state: ${NOPE}", "the variable `NOPE` is not set"),
        ("join: {settle: 61m}", "`settle` is 1h at most"),
        ("disk_reserve: 2000000GiB", "`disk_reserve` is 1048576GiB at most"),
        (f"disk_reserve: {'9' * 400}GiB", "a size is a number of bytes that a disk can hold"),
        (f"network: {{allow: {['10.0.0.0/8'] * 1001}}}", "`allow` holds 1,001 entries: 1,000 are the most"),
        ("delivery: {max_pending: 100000001}", "`max_pending` is 100,000,000 at most"),
    ],
)
def test_what_cannot_run_says_why(load, text: str, told: str) -> None:
    assert told in shown(load(text, check_source=True))


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("network: {allow: [10.0.0.0/8, foo, 10.0.0.1/8]}", [31, 36]),
        ("source: {kafka: {brokers: b, events: ['a b', a, é], topics: {'c d': {}}}}", [39, 49, 62]),
        ("collect: {keys: {web: {key: k, origins: [shop.example, 'https://a.example', 'b/']}}}", [42, 77]),
        ("console: {hosts: [a b, c], mask: [a, user.properties.b, event]}", [19, 35, 57]),
    ],
)
def test_each_item_of_a_list_that_is_wrong_is_told_at_its_place(load, text: str, at: list[int]) -> None:
    assert re.findall(r"yaml:1:(\d+): error", shown(load(text))) == [str(column) for column in at]


def test_stdin_and_existing_paths_are_fine(load, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").touch()
    report = load(f"source: {{jsonl: {{paths: ['-', {tmp_path}/a.jsonl]}}}}", check_source=True)
    assert shown(report) == ""


def test_placeholders_are_put_in_and_passwords_are_not_shown(load) -> None:
    report = load(
        "shards: ${N}\nsource:\n  kafka: {brokers: b, events: e, settings: {sasl.password: '${PASS}'}}\n",
        env={"N": "5", "PASS": "canary"},
    )
    config = report.require()
    assert config.file.shards == 5
    assert isinstance(config.source, KafkaSource)
    assert config.source.settings == {"sasl.password": "canary"}
    assert "canary" not in json.dumps(config.settings)


def test_a_password_takes_no_placeholder_in_its_default(load) -> None:
    source = "source:\n  kafka: {brokers: b, events: e, settings: {sasl.password: '${A:-${B}}'}}\n"
    assert "2:66: error[placeholder]: a default is a text" in shown(load(source, env={"A": "a", "B": "b"}))


def test_faults_in_the_delivery_defaults_are_found_in_their_file(load) -> None:
    assert "config/pipeline.yaml:1:12: error[unknown-field]: `timeot`" in shown(
        load("delivery: {timeot: 5s}\n")
    )


def test_a_file_that_cannot_be_read_is_named(load, tmp_path: Path) -> None:
    (tmp_path / "pipeline.yaml").write_bytes(b"\xff\xfe")
    assert "config/pipeline.yaml: error[unreadable]: the file is UTF-16" in shown(load())


def test_every_leaf_has_a_variable_of_its_own() -> None:
    names = [name for name, _ in variables()]
    assert len(names) == len(set(names))
    assert {"HOOKLINE_STATE", "HOOKLINE_SOURCE_KAFKA_BROKERS", "HOOKLINE_DELIVERY_RETRY_MAX_AGE"} <= set(
        names
    )


@pytest.mark.parametrize("path", ["~/app.jsonl", "s3://lake/app.jsonl", "https://x.example/app.jsonl"])
@pytest.mark.parametrize("at_start", [True, False])
def test_a_path_that_only_others_follow_is_told_by_check_and_start(load, path: str, at_start: bool) -> None:
    found = load(f"source: {{jsonl: {{paths: ['{path}'], follow: true}}}}", check_source=at_start).findings
    assert [(one.code, f"`{path}`" in one.message) for one in found] == [("wrong-path", True)]


@pytest.mark.parametrize("path", ["app.jsonl", "*/app.jsonl", "app-*.jsonl"])
def test_a_followed_file_that_is_not_there_yet_is_waited_for_where_its_folder_is(load, path: str) -> None:
    def found(text: str) -> list[tuple[str, bool]]:
        findings = load(f"source: {{jsonl: {{{text}}}}}", check_source=True).findings
        return [(one.code, one.warning) for one in findings]

    assert found(f"paths: ['{path}']") == [("missing-path", False)]
    assert found(f"paths: ['{path}'], follow: true") == [("missing-path", True)]
    assert found(f"paths: ['nowhere/{path}'], follow: true") == [("missing-path", False)]
