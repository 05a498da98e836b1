"""`hookline top`: its rows, its keys, and the terminal that it gives back."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import struct
import termios
import urllib.request
from dataclasses import replace
from typing import Any

import pytest
from rich.cells import cell_len

from pipeline.cli.watch.top import _plain
from pipeline.cli.watch.top_rows import COLUMNS, count, facts, rate, span
from pipeline.cli.watch.top_view import Act, View
from pipeline.operate.running.top import TopHead, TopRow, TopTable
from pipeline.receiver.server import Receiver
from tests.kit.programs.run import Bench, until
from tests.kit.terminal import Terminal

COLOUR = re.compile(r"\x1b\[\d*m")
ROW = TopRow(
    "w", "active", "well", 10, 9, 1, 0, 0, 5.0, 4.5, 0.0, None, None, 1, 8, 0, 1.0, 22.0, 0, ""
)  # fmt: skip
HEAD = TopHead(
    "./state", 1, 125.0, "abcdef0123456789", "", 12_345, 99.0, 3, 0.0, None, 0, "", 70 << 20, 80 << 30
)


def table(*rows: TopRow, **head: Any) -> TopTable:
    return TopTable(replace(HEAD, **head), list(rows))


def plain(lines: list[str]) -> list[str]:
    return [COLOUR.sub("", line) for line in lines]


THREE = table(
    replace(ROW, id="b", pending=5),
    replace(ROW, id="a", pending=50, receiver="down", error="connect: refused \x1b[2J 日本語" * 9),
    replace(ROW, id="c", state="paused"),
)


@pytest.mark.parametrize("width", [40, 60, 80, 120, 250])
@pytest.mark.parametrize("mode", ["", "?", "enter", "/", "p"])
def test_no_line_is_wider_than_the_terminal_and_there_are_as_many_as_it_has(width: int, mode: str):
    view = View()
    long = [replace(ROW, id=f"webhook-with-a-long-name-{n:04}-日本" * 3, error="x" * 500) for n in range(50)]
    shown = table(*long, *THREE.rows, waits="no space " * 30, problems="two\nlines " * 30)
    view.frame(shown, width, 24)
    if mode:
        view.press(mode)
    lines = plain(view.frame(shown, width, 24))
    assert len(lines) == 24
    assert max(map(cell_len, lines)) <= width
    assert not any("\x1b" in line or "\n" in line for line in lines)


def test_ids_of_one_family_can_be_told_apart_and_a_program_sees_them_whole(
    capsys: pytest.CaptureFixture[str],
):
    family = table(*(replace(ROW, id=f"team-sales-crm-sync-of-orders-{n:04}") for n in range(3)))
    lines = plain(View().frame(family, 110, 24))
    assert any("team-sales-crm-sync-of-orders-0002" in line for line in lines)
    long = "x" * 64
    _plain(View(), table(replace(ROW, id=long)))
    assert f"{long}  well" in capsys.readouterr().out


def ids(view: View, shown: TopTable = THREE) -> list[str]:
    return [row.id for row in view.rows(shown)]


def test_keys_sort_turn_filter_and_move():
    view = View()
    view.frame(THREE, 80, 24)
    assert (ids(view), view.chosen) == (["a", "b", "c"], "a")
    view.press("4")  # pending: the most first
    assert ids(view) == ["a", "b", "c"]
    view.press("r")
    assert ids(view) == ["c", "b", "a"]
    view.press("2")  # state: what is not well first
    assert ids(view) == ["a", "c", "b"]
    view.press("s")
    assert view.sort == COLUMNS[2].name
    view.press("1")
    for key, chosen in (
        ("down", "b"),
        ("j", "c"),
        ("j", "c"),
        ("k", "b"),
        ("g", "a"),
        ("G", "c"),
        ("up", "b"),
    ):
        view.press(key)
        view.frame(THREE, 80, 24)
        assert view.chosen == chosen
    for key in ("/", "D", "o", "x", "backspace", "enter"):
        view.press(key)
    assert (ids(view), view.mode) == (["a"], "table")
    view.press("escape")
    assert len(ids(view)) == 3


def test_pausing_asks_and_says_what_is_owed():
    view = View()
    view.frame(THREE, 80, 24)
    assert view.press("p") is None
    assert view.frame(THREE, 80, 24)[-1].endswith("pause a? 50 pending and what comes are kept (y/n)")
    assert view.press("n") is None
    assert view.message == "nothing was changed"
    view.press("p")
    assert view.press("y") == Act("pause", "a")
    view.press("G")
    view.press("p")
    assert "resume c?" in view.frame(THREE, 80, 24)[-1]
    assert view.press("Y") == Act("resume", "c")
    assert view.press("t") == Act("tap", "c")
    assert view.press("q") == Act("quit")


def test_what_is_disabled_is_not_paused():
    gone = table(replace(ROW, state="gone"))
    view = View()
    view.frame(gone, 80, 24)
    assert view.press("p") is None
    assert "hookline webhook enable w" in view.frame(gone, 80, 24)[-1]


def test_a_frozen_table_stays_as_it_was():
    view = View()
    view.frame(THREE, 80, 24)
    view.press(" ")
    later = table(replace(ROW, id="new"))
    assert any("a" in line.split() for line in plain(view.frame(later, 80, 24)))
    view.press(" ")
    assert view.frame(later, 80, 24)
    assert view.chosen == "new"


def test_a_thousand_webhooks_are_paged_through():
    many = table(*[replace(ROW, id=f"w{n:04}") for n in range(1000)])
    view = View()
    lines = plain(view.frame(many, 80, 24))
    assert "w0000" in lines[4]
    view.press("page down")
    view.press("page down")
    assert f" {view.chosen} " in f" {' '.join(plain(view.frame(many, 80, 24)))} "
    view.press("G")
    assert plain(view.frame(many, 80, 24))[-2].startswith("w0999")
    assert "1,000 webhooks" in plain(view.frame(many, 80, 24))[-1]


def test_nothing_to_show_says_what_to_do():
    view = View(filter="zzz")
    assert any("Esc shows all" in line for line in view.frame(THREE, 80, 24))
    assert any("no webhooks" in line for line in View().frame(table(), 80, 24))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (rate(None), "--"), (rate(0), "0"), (rate(0.25), "0.2"), (rate(123.4), "123"), (rate(45_000), "45k"),
        (count(9_999), "9,999"), (count(12_345), "12.3k"), (count(1_234_567), "1.2M"),
        (count(3 * 10**9), "3.0G"),
        (span(None), ""), (span(59.6), "60s"), (span(7200), "2h"), (span(200_000), "2d"),
    ],
)  # fmt: skip
def test_numbers_in_few_signs(text: str, expected: str):
    assert text == expected


def test_all_facts_of_a_webhook():
    said = "\n".join(facts(replace(ROW, status=503, error="busy", oldest_secs=61.0)))
    assert "10  (5.0/s)" in said
    assert "last failure    503 busy" in said


# --- live


def test_a_look_agrees_with_status_and_metrics(bench: Bench, receiver: Receiver):
    receiver.answer({"/down": [503]})
    bench.webhook("down", receiver.url("/down"))
    bench.append(*({"id": str(n)} for n in range(20)))
    assert "no job runs" in bench.hookline("top", "--once", code=1)
    with bench.running("--metrics", "0") as job:
        said = job.stderr
        assert said is not None
        address = until(lambda: next((line for line in said if '"metrics"' in line), None))
        port = address.partition("127.0.0.1:")[2].partition('"')[0]
        until(lambda: bench.counts("w")["delivered"] == 20 and bench.counts("down")["pending"] == 20)
        shown = bench.hookline("top", "--once", "--json")
        status = bench.status()["webhooks"]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            metrics = answer.read().decode()
        for row in shown["webhooks"]:
            assert {name: row[name] for name in status[row["id"]]} == status[row["id"]]
            assert f'hookline_webhook_pending{{webhook="{row["id"]}"}} {row["pending"]}\n' in metrics
        assert shown["job"]["read"] == 20
        text = bench.hookline("top", "--sort", "pending")
        assert [line.split()[0] for line in text.splitlines()[-2:]] == ["down", "w"]
        assert "did you mean `pending`" in bench.hookline("top", "--sort", "pendng", code=2)


@pytest.mark.parametrize("how", ["q", signal.SIGINT, signal.SIGTERM])
def test_the_terminal_is_given_back_at_any_end(bench: Bench, receiver: Receiver, how: str | signal.Signals):
    bench.append()
    with bench.running("--follow"):
        until(lambda: (bench.state / "control-0.sock").exists())
        words = ["top", "-c", bench.config, "--state", bench.state, "--interval", "100ms"]
        environment = {name: value for name, value in bench.environ.items() if name != "COLUMNS"}
        shown = Terminal([str(word) for word in words], environment)
        try:
            before = termios.tcgetattr(shown.leader)
            until(lambda: "WEBHOOK" in shown.said)
            if how == "q":
                bench.append({"id": "1"})
                until(lambda: "read" in shown.said and "(1)" in shown.said)
                os.write(shown.leader, b"py")
                until(lambda: "w: paused now" in shown.said)
                fcntl.ioctl(shown.leader, termios.TIOCSWINSZ, struct.pack("HHHH", 12, 60, 0, 0))
                os.write(shown.leader, b"/nothing")
                until(lambda: "Esc: all" in shown.said)
                os.write(shown.leader, b"\x1b3")
                until(lambda: "by delivered" in shown.said)
                frame = COLOUR.sub("", shown.said.rsplit("\x1b[H", 2)[1])
                assert max(len(line) for line in frame.replace("\x1b[K", "").split("\r\n")) <= 60
            if isinstance(how, str):
                os.write(shown.leader, how.encode())
            else:
                shown.process.send_signal(how)
            assert shown.process.wait(20) == (128 + how if how is signal.SIGTERM else 0)
            until(lambda: shown.said.endswith("\x1b[?25h\x1b[?1049l"))
            assert termios.tcgetattr(shown.leader) == before
        finally:
            shown.close()
