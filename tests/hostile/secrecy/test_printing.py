"""What strangers wrote, on a terminal: no verb lets it move the cursor, turn the direction or end a line."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.cli.app import run
from pipeline.model.printable import one_line, printable, printable_json
from pipeline.receiver.server import Receiver
from tests.kit.programs.run import Bench

EVIL = "\x1b]52;c;aGk=\x07\x1b[31m\x9b2J\u202egnp.exe\u2066\u200b\r\x08\x7f\x85\u2028"


@given(st.text())
def test_only_what_can_be_seen_is_left(text: str) -> None:
    assert one_line(text).isprintable()
    assert all(sign.isprintable() or sign in "\n\t" for sign in printable(text))
    shown = printable_json(json.dumps(text, ensure_ascii=False))
    assert json.loads(shown) == text


@pytest.mark.parametrize("sign", EVIL)
def test_each_of_them_is_shown_as_an_escape(sign: str) -> None:
    assert sign.isalnum() or sign.isprintable() or sign not in printable(f"a{sign}b").replace("\n", "")
    if not sign.isprintable():
        assert sign not in printable_json(json.dumps(sign, ensure_ascii=False))


def test_no_verb_prints_them(bench: Bench, receiver: Receiver, capsys: pytest.CaptureFixture[str]) -> None:
    bench.webhook("w", receiver.url("/w"), "delivery: {retry: {max_attempts: 1}}\n")
    bench.webhook("dead", receiver.url("/{{ event.properties.v | url_path }}"))
    receiver.answer({"/w": 422})
    event = {"id": f"e{EVIL}", "user_id": f"u{EVIL}", "name": f"N{EVIL}", "properties": {"v": EVIL}}
    bench.append(event)
    file = bench.folder / "event.json"
    file.write_text(json.dumps(event))
    bench.run()
    letters = [one["id"] for one in bench.listed("dlq")]
    assert len(letters) == 2
    capsys.readouterr()
    for words in (
        ("status", "--state", bench.state),
        ("status", "--state", bench.state, "--json"),
        ("outbox", "list", "--state", bench.state),
        ("dlq", "list", "--state", bench.state),
        ("dlq", "list", "--state", bench.state, "--json"),
        *(("dlq", "show", "--state", bench.state, letter) for letter in letters),
        ("explain", "-c", bench.config, "--event", file),
        ("explain", "-c", bench.config, "--event", file, "--json"),
        ("send", "-c", bench.config, "--webhook", "w", "--event", file),
    ):
        run([str(word) for word in words])
        captured = capsys.readouterr()
        said = captured.out + captured.err
        assert len(said) > 20, words
        assert not set(EVIL) & {sign for sign in said if not sign.isprintable()}, (words, ascii(said))
