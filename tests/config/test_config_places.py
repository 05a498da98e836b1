"""Where relative paths lead: those of files to the file's folder, those of flags and variables to the cwd."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeline.compile.snapshot import compile_config
from pipeline.config.files import ConfigText
from pipeline.config.job import PipelineReport, load_pipeline
from pipeline.config.models.installation.source import JsonlSource, KafkaSource
from pipeline.config.places import STATE_META
from pipeline.language.secrets import Secrets
from pipeline.model.errors import ConfigError
from tests.kit.receivers.certificates import Certificates


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory beside a project with the folder `config`."""
    (tmp_path / "project" / "config").mkdir(parents=True)
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    return tmp_path / "cwd"


CONFIG = Path("../project/config")


def loaded(text: str, **options: object) -> PipelineReport:
    (CONFIG / "pipeline.yaml").write_text(text)
    environ = options.pop("environ", {})
    return load_pipeline(CONFIG, environ=environ, **options)  # type: ignore[arg-type]  # as a test names them


def a_state_directory(path: Path) -> None:
    path.mkdir(parents=True)
    (path / STATE_META).write_text("{}")


@pytest.mark.parametrize(
    ("state", "wanted"),
    [
        ("./state", "../project/config/state"),
        ("../state", "../project/state"),
        ("a/./b", "../project/config/a/b"),
        ("/var/lib/x", "/var/lib/x"),
        (None, "../project/config/state"),
    ],
)
def test_a_state_directory_of_the_file_lies_beside_it(
    elsewhere: Path, state: str | None, wanted: str
) -> None:
    assert str(loaded(f"state: {state}\n" if state else "").require().state) == wanted


def test_every_path_of_the_file_starts_at_its_folder(elsewhere: Path) -> None:
    jsonl = loaded(
        "source: {jsonl: {events: [e.jsonl, /abs/e.jsonl], users: 'sub/*.jsonl'}}\n"
        "dead_letters: {jsonl: {path: dead.jsonl}, kafka: {topic: t, brokers: 'b:1', settings: "
        "{ssl.key.location: k.pem}}}\n"
    ).require()
    assert isinstance(jsonl.source, JsonlSource)
    assert jsonl.source.events == ["../project/config/e.jsonl", "/abs/e.jsonl"]
    assert jsonl.source.users == ["../project/config/sub/*.jsonl"]
    copies = jsonl.file.dead_letters
    assert copies.jsonl is not None
    assert copies.jsonl.path == "../project/config/dead.jsonl"
    assert copies.kafka is not None
    assert copies.kafka.settings == {"ssl.key.location": "../project/config/k.pem"}
    kafka = loaded(
        "source: {kafka: {brokers: 'b:1', events: e, settings: {ssl.ca.location: ca.pem, "
        "ssl.crl.location: /c.pem, sasl.kerberos.keytab: k.tab, client.id: a.location}}}\n"
    ).require()
    assert isinstance(kafka.source, KafkaSource)
    assert kafka.source.settings == {
        "ssl.ca.location": "../project/config/ca.pem",
        "ssl.crl.location": "/c.pem",
        "sasl.kerberos.keytab": "../project/config/k.tab",
        "client.id": "a.location",
    }
    words = loaded(
        "source: {kafka: {brokers: 'b:1', events: e, settings: {ssl.ca.location: probe}}}\n"
    ).require()
    assert isinstance(words.source, KafkaSource)
    assert words.source.settings == {"ssl.ca.location": "probe"}
    stdin = loaded("source: {jsonl: {paths: '-'}}\n").require().source
    assert isinstance(stdin, JsonlSource)
    assert stdin.paths == ["-"]


def test_paths_of_variables_and_flags_start_at_the_working_directory(elsewhere: Path) -> None:
    text = "state: there\nsource: {jsonl: {paths: [there.jsonl]}}\n"
    environ = {"HOOKLINE_STATE": "here", "HOOKLINE_SOURCE": "a.jsonl,b.jsonl"}
    by_variables = loaded(text, environ=environ).require()
    assert isinstance(by_variables.source, JsonlSource)
    assert (str(by_variables.state), by_variables.source.paths) == ("here", ["a.jsonl", "b.jsonl"])
    flags = {"state": "flag", "source.jsonl.paths": ["c.jsonl"]}
    by_flags = loaded(text, environ=environ, flags=flags).require()
    assert isinstance(by_flags.source, JsonlSource)
    assert (str(by_flags.state), by_flags.source.paths) == ("flag", ["c.jsonl"])
    copies = loaded("", environ={"HOOKLINE_DEAD_LETTERS_JSONL_PATH": "d.jsonl"}).require().file.dead_letters
    assert copies.jsonl is not None
    assert copies.jsonl.path == "d.jsonl"


def test_a_recording_that_lies_at_the_old_place_is_named_as_it_has_to_be_written(elsewhere: Path) -> None:
    (elsewhere / "x.jsonl").touch()
    report = loaded("source: {jsonl: {paths: [x.jsonl]}}\n", check_source=True)
    (found,) = report.findings
    assert found.message == "there is no file or directory `../project/config/x.jsonl`"
    assert found.hint == "relative paths in pipeline.yaml start at its folder: write ../../cwd/x.jsonl"
    assert loaded("source: {jsonl: {paths: [../../cwd/x.jsonl]}}\n", check_source=True).findings == []
    (found,) = loaded("source: {jsonl: {paths: [y.jsonl]}}\n", check_source=True).findings
    assert found.hint == "relative paths in pipeline.yaml start at its folder"


@pytest.mark.parametrize("text", ["state: ./state\n", ""])
def test_a_start_beside_the_state_of_before_ends_and_names_both(elsewhere: Path, text: str) -> None:
    a_state_directory(elsewhere / "state")
    report = loaded(text, guard_state=True)
    (found,) = report.findings
    assert found.code == "moved-state"
    assert "the state directory is `../project/config/state` now, where there is none" in found.message
    assert "`state` in the working directory is one" in found.message
    assert found.hint == "move it: mv state ../project/config/state; or name it with --state state"
    with pytest.raises(ConfigError) as caught:
        report.require()
    assert caught.value.exit_code == 1


@pytest.mark.parametrize("slip", ["state: [\n", "source: {jsonl: {paths: [x.jsonl]}\n", "epoch: &x 1s\n"])
def test_while_the_file_cannot_be_read_nobody_is_told_to_move_a_state(elsewhere: Path, slip: str) -> None:
    a_state_directory(elsewhere / "state")
    found = loaded("state: ../../cwd/state\n" + slip, guard_state=True).findings
    assert found
    assert "moved-state" not in {one.code for one in found}


@pytest.mark.parametrize(
    ("old", "new", "options"),
    [
        (None, None, {}),
        ("state", "../project/config/state", {}),
        ("no-state", None, {}),
        ("state", None, {"flags": {"state": "state"}}),
        ("state", None, {"environ": {"HOOKLINE_STATE": "state"}}),
    ],
)
def test_any_other_start_goes_on(
    elsewhere: Path, old: str | None, new: str | None, options: dict[str, object]
) -> None:
    for path in (old, new):
        if path is not None:
            a_state_directory(elsewhere / path)
    assert loaded("state: state\n", guard_state=True, **options).findings == []


@pytest.mark.parametrize("where", ["config", "."])
def test_the_state_of_another_project_in_whose_folder_one_stands_is_none_of_before(
    elsewhere: Path, where: str
) -> None:
    """`hookline init new && cd new` below a project that has run: `mv ../state state` was the advice."""
    a_state_directory(elsewhere / "state")
    (elsewhere / where).mkdir(exist_ok=True)
    (elsewhere / where / "pipeline.yaml").touch()
    assert loaded("state: state\n", guard_state=True).findings == []


def test_a_state_of_before_that_was_run_on_by_its_name_stays_one(elsewhere: Path) -> None:
    """Who forgets `--state state` once would have everything sent again."""
    a_state_directory(elsewhere / "state")
    (elsewhere / "state" / "crash.lock").touch()
    (elsewhere / "config").symlink_to("../project/config")
    (found,) = loaded("state: state\n", guard_state=True).findings
    assert found.code == "moved-state"


def test_the_folder_itself_as_the_working_directory_is_no_other_place(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (CONFIG / "pipeline.yaml").write_text("state: state\n")
    monkeypatch.chdir(CONFIG)
    a_state_directory(Path("state"))
    for directory in (".", os.getcwd()):
        assert load_pipeline(directory, environ={}, guard_state=True).findings == []


def test_a_config_directory_that_is_a_link_has_the_parent_of_its_name(elsewhere: Path) -> None:
    (elsewhere / "config").symlink_to(CONFIG)
    (CONFIG / "pipeline.yaml").write_text("state: ../state\n")
    assert str(load_pipeline("config", environ={}).require().state) == "state"


def test_a_certificate_lies_beside_its_webhook_or_in_the_config_directory(elsewhere: Path) -> None:
    hook = "id: a\ntrigger: {events: [A]}\nrequest: {url: 'https://h.example/', ca: certs/ca.pem}\n"
    text, secrets = ConfigText({"webhooks/a.yaml": hook}), Secrets({}, CONFIG)
    (found,) = compile_config(text, secrets=secrets).findings
    assert found.message == "there is no file `certs/ca.pem`"
    assert found.hint == "looked for it beside the file that names it, and in the config directory"
    certificate = Certificates.make(elsewhere).ca.read_bytes()
    for folder in (CONFIG, CONFIG / "webhooks"):
        (folder / "certs").mkdir(parents=True)
        (folder / "certs" / "ca.pem").write_bytes(certificate)
        assert compile_config(text, secrets=secrets).findings == []
        assert secrets.place("certs/ca.pem") == str(folder / "certs" / "ca.pem")
    assert secrets.place("/etc/ca.pem") == "/etc/ca.pem"
