"""Every verb on a terminal of 80 and of 60 columns: nothing is wider, no word is cut."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import click
import pytest

from pipeline.cli import app
from pipeline.cli.page.help_pages import with_subcommands
from pipeline.cli.page.lines import cells, fitted, wrapped
from pipeline.cli.page.tables import laid_out

WIDTHS = (80, 60)


class Screen(io.StringIO):
    """A terminal that keeps what is written to it."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch):
    """Run a verb on a terminal of so many columns and return what stands there, without colours."""

    def terminal(*words: object, columns: int) -> str:
        screen = Screen()
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setattr(sys, "stdout", screen)
        monkeypatch.setattr(sys, "stderr", screen)
        app.run([str(word) for word in words])
        return re.sub(r"\x1b\[[0-9;]*m", "", screen.getvalue())

    return terminal


def verbs() -> list[str]:
    found = []
    for name in app.VERBS:
        command = app.cli.get_command(click.Context(app.cli), name)
        assert command is not None
        found += [" ".join(dict.fromkeys((name, one.name or ""))) for one in with_subcommands(command)]
    return found


def too_wide(text: str, columns: int) -> list[str]:
    """Return the lines that are wider, but for JSON and a word alone or behind its field's name."""
    return [
        line
        for line in text.splitlines()
        if cells(line) > columns and not re.fullmatch(r"\s*(?:[\w -]{1,16} +)?\S+|[-+ ]*\{.*", line)
    ]


def cut(text: str, whole: str) -> list[str]:
    """Return the words of a text that are no words of the same one on a wide terminal."""
    text = re.sub(r"(?m)^ *\d+ \| .*", "", text)  # a line of a file is cut around what is wrong in it
    known = set(whole.split())
    return [word for word in text.split() if word not in known and not set(word) <= {"─", "^"}]


@pytest.mark.parametrize("columns", WIDTHS)
def test_the_help_of_every_verb(terminal, columns: int):
    for words in ["", *verbs()]:
        shown = terminal(*words.split(), "--help", columns=columns)
        whole = terminal(*words.split(), "--help", columns=100)
        assert [line for line in shown.splitlines() if cells(line) > columns] == [], words
        assert cut(shown, whole) == [], words
        assert "[env\nvar" not in re.sub(r"\n +", "\n", shown), words


@pytest.mark.parametrize("columns", WIDTHS)
def test_what_every_verb_says_of_wrong_usage(terminal, columns: int):
    for words in verbs():
        if words == "demo":
            continue  # its flags are those of `run`, which is a process of its own
        for wrong in ("--no-such-option-as-this-one", "-c no/such/folder no-such-file at all"):
            shown = terminal(*words.split(), *wrong.split(), columns=columns)
            assert too_wide(shown, columns) == [], words


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose job has run: with what is delivered, dead, pending and could not be read."""
    folder = tmp_path_factory.mktemp("job")
    config = folder / "config"
    (config / "webhooks").mkdir(parents=True)
    for name, event, url in (
        ("crm", "Purchase", "http://127.0.0.1:9/a-path-as-long-as-paths-are/in-real-life?and=a&query=string"),
        ("a-webhook-with-a-long-id-that-never-fires", "Support Ticket Opened", "http://127.0.0.1:9/"),
        ("dead", "Purchase", "http://127.0.0.1:9/{{ event.properties.nothing_of_this_name }}"),
    ):
        (config / "webhooks" / f"{name}.yaml").write_text(
            f"id: {name}\ntrigger: {{events: [{event}]}}\n"
            f"request: {{url: '{url}', body: {{name: '{{{{ user.properties.name }}}}'}}}}\n"
        )
    (config / "pipeline.yaml").write_text(
        "source: {jsonl: {paths: [../stream.jsonl]}}\nstate: ../state\nnetwork: {allow: [127.0.0.0/8]}\n"
    )
    (folder / "stream.jsonl").write_text(
        '{"type": "user", "user_id": "u1", "set": {"name": "Ann Adler of a very long family name"}}\n'
        '{"type": "event", "name": "Purchase", "user_id": "u1", "time": "2026-03-02T08:15:27Z"}\n'
        '{"uid": "u1", "what": "something that is no record", "payload": {"a": 1}}\n'
    )
    (folder / "event.json").write_text('{"type": "event", "name": "Purchase", "user_id": "u1"}\n')
    (folder / "broken/webhooks").mkdir(parents=True)
    (folder / "broken/webhooks/a.yaml").write_text(
        "id: a\ntrigger: {events: [Purchase], where: [{event.properties.amount: {'>=': 100}}, {user.a: b}]}\n"
        "request: {url: 'https://example.com/a/path', methid: POST, body: {a: '{{ user.nmae }}'}}\n"
    )
    app.run(["webhook", "pause", "crm", "-c", str(config)])  # so that it owes something
    app.run(["run", "-c", str(config), "--log-level", "error"])
    return folder


LOOKS = (
    "status", "config show", "webhook list", "dlq list", "dlq replay --all --dry-run",
    "dlq purge --webhook none", "outbox list", "outbox drop --all --dry-run", "state check", "state compact",
    "explain --event {event}", "explain --dlq nope", "diff {config} {config} --stream {stream}",
    "sniff {stream}", "check", "check -c {broken}", "check --sample {stream}", "top", "tap",
    "webhook pause crm", "webhook resume nothing", "webhook set crm request.url x --dry-run",
    "replay {stream} --dry-run --to 2020-01-01", "test", "version", "secret new", "new a --from nothing",
    "state rebuild", "send --webhook crm --event {event}", "webhook pause 'a-*' crm",
)  # fmt: skip


@pytest.mark.parametrize("columns", WIDTHS)
def test_what_verbs_say_of_a_job(terminal, job: Path, columns: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(job)
    names = {"event": "event.json", "stream": "stream.jsonl", "config": "config", "broken": "broken"}
    for look in LOOKS:
        words = look.format_map(names).split()
        shown = terminal(*words, columns=columns)
        assert shown, look
        told = re.sub(r"(?s)# yaml-language-server.*?\n\n", "", shown)  # a file, as it is to be written
        assert too_wide(told, columns) == [], f"{look}\n{shown}"
        if words[0] not in (
            "secret",
            "state",
            "sniff",
            "send",
            "webhook",
            "top",
        ):  # they say another thing each time
            assert cut(shown, terminal(*words, columns=400)) == [], f"{look}\n{shown}"


def test_a_line_is_broken_between_words():
    assert wrapped("say `a b c` or so on", 14) == ["say `a b c` or", "so on"]
    assert wrapped("and say `a b c` or so", 14) == ["and say", "`a b c` or so"]
    assert fitted("short", 20) == "short"
    assert fitted("  one two three four five", 14) == "  one two\n    three four\n    five"
    assert fitted("at https://example.com/a/path and on", 12) == "at\n  https://example.com/a/path\n  and on"
    assert fitted("ein Wort 日本語 日本語", 14) == "ein Wort\n  日本語\n  日本語"
    assert fitted("x" * 300, None) == "x" * 300


def test_an_excerpt_is_cut_around_its_carets():
    source = "   17 | " + "a" * 60 + "HERE" + "b" * 60
    carets = "      | " + " " * 60 + "^^^^ did you mean something that is long to say?"
    shown = fitted(f"{source}\n{carets}", 50).split("\n")
    at = shown[1].index("^")
    assert shown[0][at : at + 4] == "HERE"
    assert max(map(len, shown)) <= 50
    assert shown[2:] == ["      |   did you mean something that is long to", "      |   say?"]


def test_a_table_is_laid_out_as_its_columns_fit():
    columns, rows = ("id", "many", "why"), [["a-long-id-of-twenty-5", "1,000", "because it is so"]]
    wide = laid_out(columns, rows, 60, right=("many",), prose=("why",))
    assert wide == [
        "id                      many  why",
        "─" * 46,
        "a-long-id-of-twenty-5  1,000  because it is so",
    ]
    assert laid_out(columns, rows, 28, right=("many",), prose=("why",)) == [
        "id", "   many  why", "─" * 25, "a-long-id-of-twenty-5", "  1,000  because it is so",
    ]  # fmt: skip
    assert laid_out(columns, rows, 24, right=("many",), prose=("why",)) == [
        "id    a-long-id-of-twenty-5", "many  1,000", "why   because it is so",
    ]  # fmt: skip
    long = [["a", "1", "a reason that is told in a great many words"]]
    assert laid_out(columns, long, 40, right=("many",), prose=("why",))[2:] == [
        "a      1  a reason that is told in a",
        "          great many words",
    ]
    assert laid_out(columns, long, None)[2:] == ["a   1     a reason that is told in a great many words"]
