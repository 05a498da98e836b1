"""The command line as a whole: help, exit codes, errors, start-up time."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from pipeline import __version__
from pipeline.cli import app
from pipeline.model import errors
from pipeline.model.process.exits import MEANING, Exit

COMMAND = Path(sys.executable).with_name("hookline")


def commands(command: click.Command | None, words: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Return the words of a verb and of all below it."""
    assert command is not None
    below = command.commands if isinstance(command, click.Group) else {}
    return [words, *(found for name, inner in below.items() for found in commands(inner, (*words, name)))]


ALL = [
    words
    for verb in app.VERBS
    for words in commands(app.cli.get_command(click.Context(app.cli), verb), (verb,))
]


def test_help_lists_every_verb_with_its_line_and_the_exit_codes(hookline):
    said = hookline("--help")
    assert said.code == 0
    for verb, (_, line) in app.VERBS.items():
        assert re.search(rf"^  {verb} +{re.escape(line[:30])}", said.out, re.MULTILINE), verb
    for code in Exit:
        assert re.search(rf"^  {code.value} +{re.escape(MEANING[code][:30])}", said.out, re.MULTILINE), code


@pytest.mark.parametrize("words", [(), *ALL], ids=" ".join)
def test_help_of_each_verb_fits_80_columns(hookline, words):
    said = hookline(*words, "--help")
    assert said.code == 0
    assert said.out.startswith("Usage: hookline")
    assert [line for line in said.out.splitlines() if len(line) > 80] == []


def named(words: tuple[str, ...]) -> click.Command:
    """Return the command of a verb's words."""
    command = app.cli.get_command(click.Context(app.cli), words[0])
    for word in words[1:]:
        assert isinstance(command, click.Group)
        command = command.commands[word]
    assert command is not None
    return command


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_no_flag_takes_an_empty_text(hookline, tmp_path: Path, monkeypatch, words):
    """`record --out "$OUT"`, where nothing is in it, filled the working directory, and a filter chose all."""
    monkeypatch.chdir(tmp_path)
    for option in named(words).params:
        if isinstance(option, click.Option) and not option.is_flag:
            said = hookline(*words, option.opts[-1], "")
            assert (said.code, option.opts[-1] in said.err) == (Exit.USAGE, True), option.name
            if isinstance(option.type, click.Path | click.types.StringParamType):
                assert re.search("is a variable not set|there is no ``", said.err), option.name
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_option_has_a_help_text(words):
    options = [one for one in named(words).params if isinstance(one, click.Option)]
    assert [one.name for one in options if not one.help and not one.hidden] == []


def test_an_unknown_verb_is_wrong_usage_and_names_the_nearest(hookline):
    said = hookline("statsu")
    assert (said.code, said.out) == (2, "")
    assert "`hookline` has no `statsu`: did you mean `status`" in said.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("dlq", "retry"), "`dlq` has no `retry`: did you mean `replay`?"),
        (("outbox", "retry"), "did you mean `retry-now`?"),
        (("dlq", "shw"), "did you mean `show`?"),
        (("state", "xyz"), "there are check, compact, rebuild"),
    ],
)
def test_an_unknown_action_is_wrong_usage_and_names_what_is_meant(hookline, words, told):
    said = hookline(*words)
    assert (said.code, said.out) == (2, "")
    assert told in said.err


def test_the_help_of_a_group_cuts_no_sentence(hookline):
    said = hookline("dlq", "--help").out + hookline("outbox", "--help").out
    assert said.count("...") == 2, "only of the usage"


def test_an_unknown_flag_is_wrong_usage(hookline):
    said = hookline("status", "--jsno")
    assert said.code == 2
    assert "--json" in said.err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.ConfigError("config/x.yaml:1:1: error[a]: b"), 1),
        (errors.UsageError("no"), 2),
        (errors.StateError("in use"), 3),
        (errors.Fatal("disk"), 4),
    ],
)
def test_an_error_is_one_message_and_its_exit_code(hookline, monkeypatch, error, code):
    def fail() -> None:
        raise error

    monkeypatch.setattr("pipeline.cli.version.version_of", lambda name: fail())
    said = hookline("version")
    assert said.code == code
    assert str(error) in said.err
    assert "Traceback" not in said.err
    with pytest.raises(errors.HooklineError):
        hookline("version", "--debug")


def test_a_file_that_cannot_be_read_is_named_and_no_bug(hookline, tmp_path):
    (tmp_path / "webhooks").mkdir()
    said = hookline("schema", "-o", tmp_path / "webhooks" / ("x" * 300))
    assert said.code == 1
    assert said.err.startswith(f"error: {tmp_path}/webhooks/xxx")
    assert "bug" not in said.err


def test_an_unexpected_exception_is_one_clear_line(hookline, monkeypatch):
    monkeypatch.setattr("pipeline.cli.version.version_of", lambda name: 1 / 0)
    said = hookline("version")
    assert said.code == 4
    assert said.err.startswith("error: ZeroDivisionError: division by zero\n")
    assert "--debug" in said.err
    with pytest.raises(ZeroDivisionError):
        hookline("version", "--debug")


def test_a_reader_that_goes_away_is_no_error():
    reading, writing = os.pipe()
    os.close(reading)
    result = subprocess.run([COMMAND, "version"], stdout=writing, stderr=subprocess.PIPE, timeout=20)
    os.close(writing)
    assert (result.returncode, result.stderr) == (0, b"")


def test_the_help_imports_nothing_heavy():
    code = (
        "import sys; from pipeline.cli.app import run; run(['--help']); "
        "heavy = {'bytewax', 'aiohttp', 'pydantic', 'rich', 'confluent_kafka', 'lmdb', 'liquid', 'orjson'}; "
        "sys.exit(repr(sorted(heavy & set(sys.modules))) if heavy & set(sys.modules) else 0)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20)
    assert result.returncode == 0, result.stderr


def test_version_names_the_parts(hookline):
    assert set(hookline("version", "--json").json) >= {"hookline", "python", "bytewax"}
    assert hookline("version").out.startswith(f"hookline {__version__}\n")
    assert hookline("version", "--json").json["hookline"] == __version__
    assert hookline("--version").out == f"hookline {__version__}\n"


def test_a_new_secret_is_random_and_in_the_standard_form(hookline):
    import base64

    first, second = (hookline("secret", "new").out.strip() for _ in range(2))
    assert first != second
    assert len(base64.b64decode(first.removeprefix("whsec_"))) == 32


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("status --jsno", "`hookline status` has no `--jsno`: did you mean `--json`?"),
        ("status --zzz", "`hookline status` has no `--zzz`\nsee `hookline status --help`"),
        ("--versoin", "`hookline` has no `--versoin`: did you mean `--version`?"),
        ("dlq --limt 3", "`hookline dlq` has no `--limt`"),
        ("dlq list --limt 3", "`hookline dlq list` has no `--limt`: did you mean `--limit`?"),
        ("dlq purge --all --yes", "`hookline dlq purge` has no `--yes`: it asks nothing, leave it out\n"),
        ("run --force", "`hookline run` has no `--force`: did you mean `--yes`?\n"),
        ("dlq list --limit x", "--limit: `x` is no whole number"),
        ("dlq list --limit 0", "--limit: `0` is out of bounds; want at least 1"),
        ("dlq list --limit", "--limit wants a value behind it\nsee `hookline dlq list --help`"),
        ("dlq list --since yestreday", "--since: `yestreday`"),
        ("outbox list --due nwo", "--due: `nwo` is none of now, later: did you mean `now`?"),
        ("check --format txt", "--format: `txt` is none of text, json, github: did you mean `text`?"),
        (
            "schema webhok",
            "KIND: `webhok` is none of webhook, label, shape, pipeline, ",
        ),
        ("status now", "`hookline status` takes no `now`\nsee `hookline status --help`"),
        ("new", "`hookline new` wants ID"),
        ("dlq show", "`hookline dlq show` wants ID"),
        ("webhook set crm", "`hookline webhook set` wants PATH"),
        ("diff a", "`hookline diff` wants NEW"),
        ("send --event nothing.json", "--event: there is no `nothing.json`"),
        ("send --event -", "`hookline send` wants --webhook ID: the webhook"),
        ("record", "`hookline record` wants --out DIR: directory to write to"),
        ("produce --generate", "`hookline produce` wants --brokers HOST:PORT"),
        ("run --processes 99", "--processes: `99` is out of bounds; want 1 to 64"),
        ("replay --speed fast", "--speed: `fast` is no speed"),
        ("replay x --to yesterday", "--to: `yesterday` is no time; want 2026-11-24, "),
        ("explain", "name a record"),
        ("webhook pause", "name webhooks"),
        ("help statsu", "`hookline` has no `statsu`: did you mean `status`?"),
        ("help status now", "`hookline status` has no verbs of its own"),
        ("status help me", "`hookline status` takes no `help me`"),
    ],
)
def test_wrong_usage_is_said_in_one_way(hookline, words: str, told: str):
    said = hookline(*words.split())
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(f"error: {told}"), said.err
    assert "hookline" in said.err or "did you mean" in said.err, "what was meant, or where it is explained"


def test_a_variable_that_is_neither_yes_nor_no_is_wrong_usage(hookline, monkeypatch):
    monkeypatch.setenv("HOOKLINE_YES", "maybe")
    said = hookline("run")
    assert (said.code, said.err.splitlines()[0]) == (
        2,
        "error: HOOKLINE_YES: `maybe` is neither 1 nor 0 (yes or no)",
    )


def test_help_is_where_one_looks_for_it(hookline):
    assert hookline("run", "help").out == hookline("run", "--help").out == hookline("run", "-h").out
    assert hookline("dlq", "list", "help").out == hookline("dlq", "list", "--help").out
    assert hookline("dlq", "help").out == hookline("dlq", "--help").out
    assert hookline("help", "help").out == hookline("help", "--help").out
    alone = hookline()
    assert (alone.code, alone.out, alone.err) == (2, "", hookline("--help").out)


@pytest.mark.parametrize("verb", ["explain", "status"])
def test_ctrl_c_raises_nothing_while_a_verb_is_imported(verb):
    """Raised while orjson is, it is a segmentation fault."""
    watched = f"""
import signal, sys

class Watch:
    def find_spec(self, name, *rest):
        if name == "orjson":
            print("orjson", signal.getsignal(signal.SIGINT).name)

sys.meta_path.insert(0, Watch())
sys.argv = ["hookline", "{verb}", "--help"]
from pipeline.cli import main
from pipeline.cli.page import help_pages
prepare = help_pages.prepare
help_pages.prepare = lambda command: print(signal.getsignal(signal.SIGINT).__name__) or prepare(command)
main()
"""
    said = subprocess.run([sys.executable, "-c", watched], stdout=subprocess.PIPE, text=True, check=True)
    assert said.stdout.splitlines()[:2] == ["orjson SIG_DFL", "default_int_handler"]


def test_every_kind_of_schema_is_printed(hookline):
    from pipeline.cli.author.schema import KINDS
    from pipeline.config.models.schema import SCHEMAS

    assert set(KINDS) == set(SCHEMAS)
    assert hookline("schema", "test").json["title"] == SCHEMAS["test"][1]


FULL = Path("/dev/full")


@pytest.mark.skipif(not FULL.exists(), reason="a device that is always full is wanted")
@pytest.mark.parametrize("buffering", ["", "1"], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize("words", ["schema", "run --help", "--help", "--version", "help fields"])
def test_what_cannot_be_printed_is_said_of_the_standard_output_alone(words, buffering):
    environ = os.environ | {"PYTHONUNBUFFERED": buffering}
    with FULL.open("w") as full:
        said = subprocess.run(
            [COMMAND, *words.split()],
            stdout=full, stderr=subprocess.PIPE, text=True, env=environ, check=False,
        )  # fmt: skip
    assert (said.returncode, said.stderr) == (
        4,
        "error: what is printed cannot be written to the standard output (No space left on device): make "
        "room where that goes, or send it elsewhere\n",
    )


def test_a_standard_output_that_does_not_block_is_waited_for():
    take, give = os.pipe()
    os.set_blocking(give, False)
    with subprocess.Popen([COMMAND, "help", "fields"], stdout=give, stderr=subprocess.PIPE) as said:
        os.close(give)
        with open(take, "rb") as reader:
            written = reader.read()
        assert said.stderr is not None
        assert (said.wait(), said.stderr.read()) == (0, b"")
    assert len(written) > 1 << 15


@pytest.mark.skipif(not FULL.exists(), reason="a device that is always full is wanted")
def test_talk_that_cannot_be_told_does_not_change_the_exit_code():
    with FULL.open("w") as full:
        assert subprocess.run([COMMAND, "statsu"], stderr=full, check=False).returncode == 2


@pytest.mark.skipif(not FULL.exists(), reason="a device that is always full is wanted")
def test_a_log_that_cannot_be_written_does_not_change_the_exit_code(tmp_path):
    """What a full disk had not taken was tried once more at the end: code 120, which no service knows."""
    (tmp_path / "webhooks").mkdir()
    (tmp_path / "pipeline.yaml").write_text("source: {jsonl: {paths: [x.jsonl]}}\nlog: {level: debug}\n")
    (tmp_path / "x.jsonl").touch()
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with FULL.open("w") as full:
        words = [COMMAND, "run", "-c", tmp_path]
        said = subprocess.run(words, stdout=subprocess.PIPE, stderr=full, env=environ, check=False)
    assert said.returncode == 0


def test_json_of_names_that_are_no_utf8_is_json(hookline, tmp_path):
    (tmp_path / "webhooks").mkdir()
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/webhooks/\xfe.yaml")).write_text("id: a\n")
    said = hookline("check", "-c", str(tmp_path), "--json")
    (finding,) = json.loads(said.out)["findings"]
    assert (said.code, finding["file"]) == (1, "webhooks/\\udcfe.yaml")


def test_line_ends_at_the_end_of_variables_are_cut_off(tmp_path):
    (tmp_path / "config/webhooks").mkdir(parents=True)
    environ = {
        "HOOKLINE_CONFIG": f"{tmp_path}/config\n",
        "HOOKLINE_STATE": f"{tmp_path}/s\r\n",
        "HOOKLINE_SHARDS": "4\n",
    }
    words = [str(COMMAND), "config", "show", "--json"]
    shown = json.loads(
        subprocess.run(words, capture_output=True, check=True, env=os.environ | environ).stdout
    )
    assert (shown["state"]["value"], shown["shards"]["value"]) == (f"{tmp_path}/s", 4)
