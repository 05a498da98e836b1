from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.compile.snapshot import compile_config
from pipeline.config.documents import list_candidates, read_list
from pipeline.config.files import ConfigText, JobDefaults, read_config, wanted_lists
from pipeline.config.webhooks import check_files
from pipeline.language.units import (
    parse_duration,
    parse_rate,
    parse_size,
    show_duration,
    show_rate,
    show_size,
)
from pipeline.model.errors import ConfigError

WEBHOOK = """\
id: a
trigger:
  events: [X]
  where: [{user.properties.email: {as: domain, not_in: {file: lists/free.txt}}}]
request: {url: "https://${HOST}:${PORT:-443}/${TOKEN}", body: {in: {file: lists/other.txt}}}
delivery: {concurrency: "${SIZE}"}
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    for folder in ("webhooks", "labels", "lists"):
        (tmp_path / folder).mkdir()
    (tmp_path / "webhooks" / "a.yaml").write_text(WEBHOOK)
    (tmp_path / "lists" / "free.txt").write_text("gmail.com\n\n# comment\n#tag\n web.de \r\n")
    (tmp_path / "lists" / "more.txt").write_text("aol.com\n")
    return tmp_path


ENV = {"HOST": "h.example", "SIZE": "5", "MORE": "6", "TOKEN": "canary", "UNUSED": "x"}


def test_a_config_holds_files_list_files_and_plain_settings_only(directory: Path) -> None:
    (directory / "webhooks" / "a.test.yaml").write_text("x")
    (directory / "webhooks" / ".a.yaml.swp").write_text("x")
    (directory / "webhooks" / ".hidden.yaml").write_text("x")
    (directory / "webhooks" / "b.yml").write_text("id: b\n")
    (directory / "pipeline.yaml").write_text("shards: 8\n")
    text = read_config(directory, environ=ENV)
    assert sorted(text.files) == ["lists/free.txt", "webhooks/a.yaml", "webhooks/b.yml"]
    assert text.settings == {"HOST": "h.example", "SIZE": "5"}
    assert b"canary" not in text.to_bytes()


@pytest.mark.parametrize(
    "field",
    [
        "enabled: ${SIZE}",
        "trigger: {events: [X, '${SIZE}']}",
        "vars: {n: {setting: '${SIZE}'}}",
        "vars: {n: [1, {deep: {setting: '${SIZE}'}}]}",
        "delivery: {retry: {max_attempts: '${SIZE}'}}",
        "request: {url: 'https://h.example:${SIZE}/'}",
    ],
)
def test_a_setting_is_read_wherever_it_stands(directory: Path, field: str) -> None:
    (directory / "webhooks" / "a.yaml").write_text(field)
    assert read_config(directory, environ=ENV).settings == {"SIZE": "5"}


@pytest.mark.parametrize(
    "where",
    [
        "[{event.name: {in: {file: lists/free.txt}}}]",
        "[{event.name: {file: lists/free.txt}}]",
        "{event.name: {in: [a, {file: lists/free.txt}]}}",
        "{event.name: [a, {file: lists/free.txt}]}",
        "{any: [{not: {event.name: {file: lists/free.txt}}}, {user.id: a}]}",
        "{any_element: {event.properties.l: [{a: {file: lists/free.txt}}]}}",
    ],
)
def test_a_list_file_is_read_wherever_a_condition_names_it(directory: Path, where: str) -> None:
    file = f"id: a\ntrigger: {{events: [X], where: {where}}}\nrequest: {{url: 'https://h.example'}}\n"
    (directory / "webhooks" / "a.yaml").write_text(file)
    assert "lists/free.txt" in read_config(directory, environ=ENV).files


def test_a_list_file_that_cannot_be_read_is_not_said_to_be_missing(directory: Path) -> None:
    (directory / "lists" / "free.txt").write_bytes(b"M\xfcller\n")
    found = compile_config(read_config(directory, environ=ENV), secrets=None).findings
    assert [(one.file, one.code) for one in found if "free.txt" in str(one)] == [
        ("lists/free.txt", "unreadable")
    ]


def test_a_list_file_is_read_where_only_the_defaults_of_the_job_name_it(directory: Path) -> None:
    (directory / "webhooks" / "a.yaml").write_text(
        "id: a\ntrigger: {events: [X]}\nrequest: {url: 'https://h.example'}\n"
    )
    defaults = JobDefaults(delivery={"fail_when": {"response.body.code": {"in": {"file": "lists/free.txt"}}}})
    text = read_config(directory, environ=ENV, defaults=defaults)
    assert "lists/free.txt" in wanted_lists(text)
    assert [file.lists for file in check_files(text).webhooks] == [
        {"lists/free.txt": ["gmail.com", "#tag", "web.de"]}
    ]


def test_a_map_of_a_body_names_no_list_file(directory: Path) -> None:
    body = "body: {a: {file: lists/free.txt}}"
    file = f"id: a\ntrigger: {{events: [X]}}\nrequest: {{url: 'https://h.example', {body}}}\n"
    (directory / "webhooks" / "a.yaml").write_text(file)
    assert "lists/free.txt" not in read_config(directory, environ=ENV).files


@pytest.mark.parametrize(
    "change",
    [
        lambda d: (d / "webhooks" / "a.yaml").write_text(WEBHOOK + "# comment\n"),
        lambda d: (d / "webhooks" / "a.yaml").write_text(
            WEBHOOK.replace("free", "more").replace("SIZE", "MORE")
        ),
        lambda d: (d / "lists" / "free.txt").write_text("gmx.de\n"),
        lambda d: (d / "webhooks" / "b.yaml").write_text("id: b\n"),
        lambda d: (d / "labels" / "l.yaml").write_text("name: l\n"),
        lambda d: (d / "webhooks" / "a.yaml").rename(d / "webhooks" / "c.yaml"),
    ],
)
def test_whatever_changes_the_meaning_changes_the_hash(directory: Path, change) -> None:
    before = read_config(directory, environ=ENV)
    assert read_config(directory, environ=ENV).hash == before.hash
    change(directory)
    after = read_config(directory, environ=ENV)
    assert after.hash != before.hash
    assert read_config(directory, environ=ENV, before=before).to_bytes() == after.to_bytes()


def test_the_hash_follows_settings_and_defaults_but_not_secrets_or_places(directory: Path) -> None:
    base = read_config(directory, environ=ENV)
    assert read_config(directory, environ=ENV | {"HOST": "other"}).hash != base.hash
    assert read_config(directory, environ=ENV | {"PORT": "444"}).hash != base.hash
    assert read_config(directory, environ=ENV | {"TOKEN": "other"}).hash == base.hash
    assert read_config(directory, environ=ENV, defaults=JobDefaults(("internal",))).hash != base.hash
    moved = directory.rename(directory.with_name("moved"))
    assert read_config(moved, environ=ENV).hash == base.hash


def test_a_config_survives_the_journey_to_another_process(directory: Path) -> None:
    text = read_config(directory, environ=ENV, defaults=JobDefaults(("x",), {"timeout": "5s"}, ("::1/128",)))
    assert text.documents
    back = ConfigText.from_bytes(text.to_bytes())
    assert back == text
    assert back.hash == text.hash
    assert pickle.loads(pickle.dumps(text)) == text
    assert len(pickle.dumps(text)) < 2 * len(text.to_bytes())


@pytest.mark.parametrize("name", ["../secret.txt", "/etc/passwd", "lists/../../x", "", "a\0b"])
def test_a_list_file_cannot_leave_the_config_directory(name: str) -> None:
    assert list_candidates(name, "webhooks/a.yaml") == []


def test_a_list_file_may_lie_beside_the_file_that_names_it(directory: Path) -> None:
    (directory / "lists").rename(directory / "webhooks" / "lists")
    assert "webhooks/lists/free.txt" in read_config(directory, environ=ENV).files


def test_a_file_whose_name_is_no_utf8_is_a_fault_of_its_own(directory: Path) -> None:
    os.rename(directory / "webhooks" / "a.yaml", os.fsencode(directory / "webhooks") + b"/\xfe.yaml")
    text = read_config(directory)
    assert (dict(text.files), dict(text.faults)) == (
        {},
        {r"webhooks/\udcfe.yaml": "its name is no UTF-8: rename it"},
    )
    assert ConfigText.from_bytes(text.to_bytes()).hash == text.hash


def test_a_setting_that_is_no_utf8_is_a_fault_of_the_file_that_uses_it(directory: Path) -> None:
    text = read_config(directory, environ={"SIZE": "1\udcff"})
    assert dict(text.faults) == {"webhooks/a.yaml": "the setting ${SIZE} holds bytes that are no UTF-8"}
    assert ConfigText.from_bytes(text.to_bytes()).hash == text.hash


def test_list_files_hold_one_entry_per_line() -> None:
    assert read_list("gmail.com\n\n# comment\n#tag\n web.de \r\nlast") == [
        "gmail.com",
        "#tag",
        "web.de",
        "last",
    ]


def test_a_directory_that_is_no_config_says_what_is_wanted(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such config directory"):
        read_config(tmp_path / "nope")
    with pytest.raises(ConfigError, match="no folder `webhooks`"):
        read_config(tmp_path)


@pytest.mark.parametrize(
    ("text", "seconds"), [("500ms", 0.5), ("10s", 10), ("1.5h", 5400), ("30d", 2592000), ("2m", 120)]
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "value", ["10", "s", "-1s", "1 s", "1h30m", "1e3s", "٣s", "", 10, None, True, "99999d", "1w"]
)
def test_what_is_no_duration_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_duration(value)


@given(st.integers(1, 10**7), st.sampled_from(["ms", "s", "m", "h"]))
def test_a_shown_duration_reads_back(amount: int, unit: str) -> None:
    seconds = parse_duration(f"{amount % 800_000 + 1}{unit}")
    assert parse_duration(show_duration(seconds)) == pytest.approx(seconds)


@pytest.mark.parametrize(("text", "rate"), [("100/s", 100), ("60/m", 1), ("1800/h", 0.5), ("86400 / d", 1)])
def test_rates(text: str, rate: float) -> None:
    assert parse_rate(text) == rate


@given(st.integers(1, 10**6), st.sampled_from(["s", "m", "h", "d"]))
def test_a_shown_rate_reads_back(amount: int, unit: str) -> None:
    rate = parse_rate(f"{amount}/{unit}")
    assert parse_rate(show_rate(rate)) == pytest.approx(rate, rel=1e-5)


@given(st.integers(1, 5_000), st.sampled_from(["B", "KB", "MB", "GB", "KiB", "MiB", "GiB"]))
def test_a_shown_size_reads_back(amount: int, unit: str) -> None:
    size = parse_size(f"{amount}{unit}")
    assert parse_size(show_size(size)) == size


@pytest.mark.parametrize("value", ["100", "0/s", "x/s", "1/w", 5, None])
def test_what_is_no_rate_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="rate"):
        parse_rate(value)


@pytest.mark.parametrize(("value", "size"), [(5, 5), ("1MB", 10**6), ("512KiB", 524288), ("10 B", 10)])
def test_sizes(value: object, size: int) -> None:
    assert parse_size(value) == size


@pytest.mark.parametrize("value", [True, "1TB", "x", None, 1.5])
def test_what_is_no_size_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="a size is a number of bytes"):
        parse_size(value)


@pytest.mark.parametrize("value", [0, -1, "0MB"])
def test_a_size_of_nothing_is_called_that(value: object) -> None:
    with pytest.raises(ValueError, match="a size is at least one byte"):
        parse_size(value)
