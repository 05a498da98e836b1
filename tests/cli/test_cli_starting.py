"""Starting out: `init`, `new --from`, `help`; and what check and diff print for a code host."""

import json
import os
import pty
import re
import select
import subprocess
import sys
import zipfile
from functools import partial
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from pipeline.cli.app import COMPLETES, cli
from pipeline.cli.author.reports import MOST_SHOWN, annotated, markdown
from pipeline.cli.jobs.receiver import receiver as receiver_command
from pipeline.config.job import load_pipeline
from pipeline.model.findings import Finding
from pipeline.operate.starting.project import FILES
from pipeline.operate.starting.shipped import example_names, example_tests
from pipeline.operate.trials.diff import Difference
from pipeline.receiver.server import Receiver
from tests.kit.machine.kept import keep, letter
from tests.kit.programs.run import until


def test_a_project_runs_as_it_is_and_two_of_its_events_fire(hookline, tmp_path: Path, monkeypatch):
    said = hookline("init", tmp_path / "shop")
    assert {str(Path(line).relative_to(tmp_path / "shop")) for line in said.out.splitlines()} == {
        *FILES, "config/README.md", "config/schema",
    }  # fmt: skip
    monkeypatch.chdir(tmp_path / "shop")
    assert hookline("check").out == "config: 1 webhook, no problems\n"
    assert hookline("test").out == "2 passed, 0 failed in 1 file\n"
    with Receiver() as receiver:
        webhook = Path("config/webhooks/big-purchase.yaml")
        webhook.write_text(webhook.read_text().replace("127.0.0.1:8787", f"127.0.0.1:{receiver.port}"))
        ran = hookline("run", "--json")
        assert json.loads(ran.out)["webhooks"]["big-purchase"]["delivered"] == 2, ran.err
        texts = sorted(json.loads(one.body)["text"] for one in receiver.requests)
    assert texts == ["Ada spent 250", "Bob spent 120"]


def test_the_folder_of_a_project_is_no_config_and_the_one_that_is_meant_is_named(
    hookline, tmp_path: Path, monkeypatch
):
    project = tmp_path / "my shop"
    assert f"  cd '{project}'\n" in hookline("init", project).err
    for words in (("check",), ("run",), ("status",), ("new", "other")):
        said = hookline(*words, "-c", project)
        assert (said.code, f"is `{project}/config` meant?" in said.err) == (2, True)
    monkeypatch.chdir(project / "config")
    said = hookline("check")
    assert (said.code, "`config` is no config directory: is `.` meant?" in said.err) == (2, True)
    assert hookline("check", "-c", ".").code == 0
    assert hookline("new", "first", "-c", "another").code == 0
    said = hookline("state", "rebuild", "-c", ".")
    assert (said.code, "holds no state" in said.err) == (1, True)
    assert not (project / "state").exists()


def test_the_receiver_listens_where_a_new_project_sends():
    (listen,) = (one.default for one in receiver_command.params if one.name == "listen")
    assert f"url: http://{listen}/" in FILES["config/webhooks/big-purchase.yaml"]


@pytest.mark.parametrize("words", ["demo", "demo --console"])
def test_a_demo_where_nothing_can_be_written_says_how_to_begin_it_elsewhere(hookline, words, monkeypatch):
    monkeypatch.chdir("/proc")  # also root makes no folder there
    said = hookline(*words.split())
    assert (said.code, ".demo cannot be made here" in said.err) == (2, True)
    assert "--folder DIR" in said.err


def test_a_project_is_as_open_as_other_files_of_its_author(tmp_path: Path):
    """A job runs as another user: of a service, of a container."""
    subprocess.run(
        [sys.executable, "-m", "pipeline.cli", "init", "shop"],
        cwd=tmp_path, umask=0o027, capture_output=True, check=True,
    )  # fmt: skip
    folder = tmp_path / "shop"
    modes = {path.stat().st_mode & 0o777 for path in (folder, *folder.rglob("*"))}
    assert modes == {0o750, 0o640}


def test_nothing_of_a_project_overwrites_a_file(hookline, tmp_path: Path):
    (tmp_path / "config").mkdir()
    (tmp_path / "config/pipeline.yaml").write_text("state: ../mine\n")
    said = hookline("init", tmp_path)
    assert said.code == 2
    assert f"{tmp_path}/config/pipeline.yaml is there already: name another folder" in said.err
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["config", "pipeline.yaml"]


def test_what_is_kept_of_people_stays_out_of_the_repository_of_a_project(hookline, tmp_path: Path):
    assert hookline("init", tmp_path).code == 0
    (tmp_path / "config/pipeline.yaml").write_text("collect: {keys: any}\nstate: ../state\n")
    settings = load_pipeline(tmp_path / "config", environ={}).require()
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    for folder in (settings.state, str(settings.collected)):
        file = Path(folder) / "x"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        assert subprocess.run(["git", "-C", tmp_path, "check-ignore", "-q", file.resolve()]).returncode == 0


def test_a_project_leaves_the_gitignore_that_is_there(hookline, tmp_path: Path):
    (tmp_path / ".gitignore").write_text("mine\n")
    assert hookline("init", tmp_path).code == 0
    assert (tmp_path / ".gitignore").read_text() == "mine\n"


@pytest.mark.parametrize("name", example_names())
def test_every_example_can_be_taken_under_another_name_with_its_tests(hookline, tmp_path: Path, name: str):
    mine = f"my-{name}"
    said = hookline("new", mine, "--from", name, "-c", tmp_path)
    assert said.code == 0, said.err
    text = (tmp_path / f"webhooks/{mine}.yaml").read_text()
    assert re.findall(r"^id: .*", text, re.MULTILINE) == [f"id: {mine}"]
    assert (tmp_path / f"webhooks/{mine}.test.yaml").exists() == (example_tests(name) is not None)
    assert (tmp_path / "schema/webhook.json").exists(), "the first line of the file names it"
    if example_tests(name) is not None:
        tested = hookline("test", "-c", tmp_path)
        assert tested.code == 0, tested.out + tested.err


def test_an_example_that_is_not_there_lists_all(hookline, tmp_path: Path):
    said = hookline("new", "mine", "--from", "slak", "-c", tmp_path)
    assert said.code == 2
    assert "there is no example `slak`. Did you mean `slack`? There are data-lake, discord," in said.err
    assert not list(tmp_path.iterdir())


def test_an_example_takes_no_words_of_its_own_file(hookline, tmp_path: Path):
    said = hookline("new", "mine", "--from", "slack", "--event", "Purchase", "-c", tmp_path)
    assert said.code == 2
    assert "--event and --from exclude one another" in said.err


def test_schemas_that_are_there_stay(hookline, tmp_path: Path):
    (tmp_path / "schema").mkdir()
    hookline("new", "mine", "-c", tmp_path)
    assert not list((tmp_path / "schema").iterdir())


def test_help_says_what_help_of_the_verb_says(hookline):
    assert hookline("help", "dlq", "list").out == hookline("dlq", "list", "--help").out
    assert hookline("help").out == hookline("--help").out
    assert hookline("help", "dlq", "lst").err.endswith("`dlq` has no `lst`: did you mean `list`?\n")
    assert "`hookline check` has no verbs of its own" in hookline("help", "check", "now").err


def test_help_shows_the_reference_of_fields(hookline):
    said = hookline("help", "fields").out
    assert said.startswith("# Config reference")
    assert "make docs" not in said


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (("statsu",), "status"),
        (("config", "shw"), "show"),
        (("secret", "nwe"), "new"),
        (("dlq", "lst"), "list"),
    ],
)
def test_a_verb_that_is_not_there_is_told_in_one_way(hookline, words: tuple[str, ...], meant: str):
    said = hookline(*words)
    assert said.code == 2
    noun = words[0] if len(words) > 1 else "hookline"
    assert f"error: `{noun}` has no `{words[-1]}`: did you mean `{meant}`?" in said.err


def test_a_finding_is_an_annotation_of_its_line():
    found = [
        Finding("webhooks/a,b.yaml", 4, 7, "unknown-field", "50% of it\nis wrong", "did you mean `x`?"),
        Finding("", 0, 0, "no-webhooks", "there is none", warning=True),
    ]
    assert list(annotated(found, "config")) == [
        "::warning file=config,title=no-webhooks::there is none",
        "::error file=config/webhooks/a%2Cb.yaml,line=4,col=7,title=unknown-field::50%25 of it%0Ais wrong"
        "%0Adid you mean `x`?",
    ]


def test_check_prints_annotations_and_keeps_its_exit_code(hookline, tmp_path: Path):
    hookline("new", "mine", "-c", tmp_path)
    assert hookline("check", "-c", tmp_path, "--format", "github").out == ""
    path = tmp_path / "webhooks/mine.yaml"
    path.write_text(path.read_text().replace("enabled: true", "enabeld: true"))
    said = hookline("check", "-c", tmp_path, "--format", "github")
    assert said.code == 1
    assert said.out.startswith(f"::error file={path},line=5,col=1,title=unknown-field::")
    assert hookline("check", "-c", tmp_path, "--format", "github", "--json").code == 2


def test_a_difference_is_a_comment_of_markdown(hookline, tmp_path: Path):
    for name in ("old", "new"):
        hookline("init", tmp_path / name)
    webhook = tmp_path / "new/config/webhooks/big-purchase.yaml"
    webhook.write_text(webhook.read_text().replace(" spent ", " `paid` ").replace("gte: 100", "gte: 200"))
    stream = tmp_path / "old/sample.jsonl"
    old, new = tmp_path / "old/config", tmp_path / "new/config"
    flags = ("--stream", stream, "--format", "markdown")
    said = hookline("diff", old, new, *flags)
    assert said.out.startswith("**Hookline**: 1 webhook of 1 would send other requests.\n\n| webhook |")
    assert "| `big-purchase` | 0 | 0 | 1 | 1 |" in said.out
    assert '-   "text": "Ada spent 250"' in said.out
    assert '+   "text": "Ada `paid` 250"' in said.out
    assert hookline("diff", old, old, *flags).out == (
        "**Hookline**: the same requests as before from 1 webhook.\n"
    )


def test_a_comment_is_never_longer_than_a_code_host_takes():
    many = {
        f"w{number}": Difference({"same": 0, "appear": 0, "vanish": 0, "change": 1})
        for number in range(9_000)
    }
    assert len(markdown(many)) < MOST_SHOWN + 1_000


def test_a_wheel_alone_has_the_examples_and_the_reference(tmp_path: Path):
    root = Path(__file__).parents[2]
    words = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(words, cwd=root, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    target = tmp_path / "site"
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(target)
    empty = tmp_path / "empty"
    empty.mkdir()
    verbs = ["init", "new alert --from slack", "test", "schema webhook", "help fields", "demo"]
    program = f"from pipeline.cli.app import run\nfor words in {verbs}: print(words, run(words.split()))"
    ran = subprocess.run(
        [sys.executable, "-P", "-c", program],
        env={"PYTHONPATH": str(target), "PATH": os.environ["PATH"]},
        cwd=empty, capture_output=True, text=True,
    )  # fmt: skip
    for verb in verbs:
        assert f"{verb} 0\n" in ran.stdout, ran.stderr
    assert "4 passed, 0 failed in 2 files\n" in ran.stdout
    assert "189 with a good signature" in ran.stderr
    assert (empty / ".demo/config/webhooks/big-purchase.yaml").is_file(), "a copy, to be edited"
    completes_in_bash(empty, target)


def completes_in_bash(folder: Path, site: Path) -> None:
    """Press the tabulator key in an interactive bash, in a project, with the command of the wheel."""
    program = folder / "bin" / "hookline"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable} -P\nfrom pipeline.cli import main\nmain()\n")
    program.chmod(0o755)
    state = load_pipeline(folder / "config", environ={}).require().state
    keep(state, [letter("alert", 1)])
    (folder / "my event.json").write_text("{}")
    environment = {
        "PATH": f"{program.parent}:{os.environ['PATH']}", "PYTHONPATH": str(site), "HOME": str(folder),
        "TERM": "dumb", "PS1": "$ ", "LC_ALL": "C.UTF-8",
    }  # fmt: skip
    leader, follower = pty.openpty()
    bash = subprocess.Popen(
        ["bash", "--noprofile", "--norc", "-i"], cwd=folder, env=environment, start_new_session=True,
        stdin=follower, stdout=follower, stderr=follower,
    )  # fmt: skip
    said = ""

    def shows(text: str) -> bool:
        nonlocal said
        if select.select([leader], [], [], 0.05)[0]:
            said += os.read(leader, 65536).decode()
        return re.search(text, said) is not None

    try:
        os.write(leader, b'eval "$(_HOOKLINE_COMPLETE=bash_source hookline)"; echo is"" ready\n')
        until(lambda: shows("is ready"), secs=60)
        for typed, whole in (
            ("hookline webhook pau\tal\t", "hookline webhook pause alert "),
            ("hookline dlq show \t", "hookline dlq show [0-9a-f]{12} "),
            ("hookline explain --event my\t", r"hookline explain --event my\\ event\.json"),
        ):
            os.write(leader, f"\x15{typed}".encode())
            until(partial(shows, whole), secs=60)
        assert "rror" not in said
    finally:
        bash.kill()
        bash.wait()
        os.close(leader)
        os.close(follower)


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("webhook pause ", {"alert", "mine"}),
        ("webhook set m", {"mine"}),
        ("explain --webhook a", {"alert"}),
        ("dlq list --webhook ", {"alert", "mine"}),
        ("new other --from sl", {"slack"}),
        ("dlq ex", {"export"}),
        ("dlq show ", set()),
    ],
)
def test_a_shell_is_offered_names(words: str, offered: set[str], hookline, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("alert", "mine"):
        hookline("new", name)
    assert completed(words, monkeypatch) == offered


def test_a_shell_is_offered_dead_letters(hookline, tmp_path: Path, monkeypatch):
    hookline("init", tmp_path)
    monkeypatch.chdir(tmp_path)
    with Receiver() as receiver:
        receiver.answer({"*": [400]})
        webhook = Path("config/webhooks/big-purchase.yaml")
        webhook.write_text(webhook.read_text().replace("127.0.0.1:8787", f"127.0.0.1:{receiver.port}"))
        assert hookline("run").code == 0
    assert len(completed("dlq show ", monkeypatch)) == 2


def completed(words: str, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    monkeypatch.setenv(COMPLETES, "bash_complete")
    *before, begun = words.split(" ")
    found = ShellComplete(cli, {}, "hookline", COMPLETES).get_completions(before, begun)
    monkeypatch.delenv(COMPLETES)
    return {item.value for item in found}


def test_a_key_without_a_certificate_serves_nothing_in_the_clear(hookline, tmp_path: Path):
    key = tmp_path / "key.pem"
    key.write_text("")
    said = hookline("receiver", "--key", key)
    assert (said.code, "name that with --cert" in said.err) == (2, True)
    said = hookline("receiver", "--cert", key)
    assert (said.code, "where its key lies in another file: --key" in said.err) == (2, True)
