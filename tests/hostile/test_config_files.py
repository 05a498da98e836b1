"""Files that are none, or must not be read: a finding, at once, and never a hang."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.cli import given
from pipeline.compile.snapshot import compile_config
from pipeline.config.files import ConfigText, read_config
from pipeline.config.job import load_pipeline
from pipeline.language.secrets import SecretRef, Secrets
from pipeline.model.errors import Fatal, GivenError
from pipeline.model.findings import render
from pipeline.sources.files.finding.inputs import find_inputs
from pipeline.sources.files.recording import Recording

HOOK = """\
id: a
trigger: {events: [X], where: [{event.id: {in: {file: %s}}}]}
request: {url: 'https://x.example/'}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("webhooks", "labels", "secrets", "lists"):
        (tmp_path / name).mkdir()
    (tmp_path / "lists/good.txt").write_text("one\n")
    (tmp_path / "secrets/slack").write_text("canary-secret\n")
    (tmp_path / "webhooks/secrets").mkdir()
    for name in ("token", "webhooks/near", "webhooks/secrets/beside"):
        (tmp_path / name).write_text("canary-secret\n")
    (tmp_path / ".env").write_text("A=canary-secret\n")
    (tmp_path / "pipeline.yaml").write_text(
        "delivery: {proxy: 'http://u:canary@p.example', client: aiohttp}\n"
    )
    return tmp_path


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


def _large(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate((16 << 20) + 1)


SPECIAL: dict[str, Callable[[Path], object]] = {
    "a pipe": os.mkfifo,
    "a socket": _socket,
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a terminal": lambda path: path.symlink_to("/dev/tty"),
    "a folder": lambda path: path.mkdir(),
    "a large one": _large,
    "a circle of links": lambda path: path.symlink_to(path.name),
}


@pytest.mark.parametrize("kind", SPECIAL)
@pytest.mark.parametrize("name", ["webhooks/b.yaml", "webhooks/_base.yaml", "labels/l.yaml", "lists/l.txt"])
def test_what_is_no_file_is_a_finding(folder: Path, name: str, kind: str) -> None:
    (folder / "webhooks/a.yaml").write_text(HOOK % ("lists/l.txt" if "lists" in name else "lists/good.txt"))
    SPECIAL[kind](folder / name)
    report = compile_config(read_config(folder), secrets=None)
    assert report.snapshot is None
    assert (name if kind != "a folder" else "l") in report.render()


@pytest.mark.parametrize("kind", SPECIAL)
def test_neither_is_one_in_the_place_of_pipeline_yaml_or_of_a_secret(folder: Path, kind: str) -> None:
    (folder / "pipeline.yaml").unlink()
    SPECIAL[kind](folder / "pipeline.yaml")
    report = load_pipeline(folder, environ={})
    assert report.config is None
    assert "pipeline.yaml" in render(report.findings, root=".")
    SPECIAL[kind](folder / "secrets/odd")
    assert not Secrets({}, folder).known(SecretRef("file:secrets/odd"))


@pytest.mark.parametrize(
    "name",
    [
        "secrets/slack",
        "secrets/beside",
        "./secrets/../secrets/slack",
        "pipeline.yaml",
        ".env",
        "token",
        "near",
    ],
)
def test_a_list_file_does_not_read_what_is_secret(folder: Path, name: str) -> None:
    (folder / "webhooks/a.yaml").write_text(HOOK % name)
    (folder / "webhooks/b.yaml").write_text(
        "id: b\ntrigger: {events: [X]}\n"
        "request: {url: 'https://x.example/', body: '${file:token}${file:near}'}\n"
    )
    text = read_config(folder)
    assert b"canary" not in text.to_bytes()
    report = compile_config(text, secrets=None)
    assert report.snapshot is None
    assert Path(name).name in report.render()


def test_a_version_of_before_that_holds_one_keeps_its_meaning(folder: Path) -> None:
    text = ConfigText({"webhooks/a.yaml": HOOK % "secrets/slack", "secrets/slack": "one\n"})
    assert compile_config(text, secrets=None, stored=True).snapshot is not None


@pytest.mark.parametrize(
    ("kind", "told"), [("a device", "is a device, which has no end"), ("a socket", "cannot be read")]
)
def test_neither_is_one_in_the_place_of_a_recording(tmp_path: Path, kind: str, told: str) -> None:
    SPECIAL[kind](tmp_path / "odd.jsonl")
    with pytest.raises(Fatal, match=told):
        Recording([str(tmp_path / "odd.jsonl")]).read(1)


def test_a_recording_s_folder_is_read_without_what_is_no_file_in_it(tmp_path: Path) -> None:
    (tmp_path / "good.jsonl").write_text("{}\n")
    for number, make in enumerate(SPECIAL.values()):
        make(tmp_path / f"{number}.jsonl")
    (tmp_path / "5.jsonl").unlink()  # the large one is a recording
    assert [one.name for one in find_inputs([str(tmp_path)])] == ["good.jsonl"]


def test_what_is_given_to_a_verb_has_an_end(tmp_path: Path) -> None:
    (tmp_path / "zero").symlink_to("/dev/zero")
    with pytest.raises(GivenError, match=r"zero: .*larger than 16,777,216 bytes"):
        given.read(tmp_path, tmp_path / "zero", None, None, "auto")
