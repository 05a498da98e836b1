"""`hookline sniff`: what it prints, what it writes, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Hookline

LINES = [
    {"ts": 1795435200123, "uid": 7, "type": "order_placed", "payload": {"sum": 12.5}, "shop": "berlin"},
    {"ts": 1795435200456, "uid": 8, "type": "login", "payload": {}, "shop": "ulm"},
]


@pytest.fixture
def stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "orders.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in LINES))
    return Path("orders.jsonl")


def test_it_shows_shapes_a_proposal_and_what_to_put_where(hookline: Hookline, stream: Path) -> None:
    said = hookline("sniff", stream)
    assert said.code == 0
    assert said.out == (Path(__file__).parent / "sniff_orders.txt").read_text()
    assert max(map(len, said.out.splitlines())) <= 80


def test_what_a_job_cannot_read_yet_is_set_under_the_name_that_the_remedy_gives_it(
    hookline: Hookline, stream: Path
) -> None:
    Path("all.json").write_text(json.dumps(LINES, indent=2))
    said = hookline("sniff", "all.json")
    assert "> out.jsonl` makes a line of each record" in " ".join(said.out.split())
    assert "{path: ../out.jsonl, format: all}" in said.out
    assert "../all.json" not in said.out


def test_what_is_written_is_a_shape_of_the_config_that_check_and_replay_take(
    hookline: Hookline, stream: Path
) -> None:
    said = hookline("sniff", stream, "--write", "shop")
    assert (said.code, "written: config/shapes/shop.yaml" in said.err) == (0, True)
    Path("config/webhooks").mkdir()
    Path("config/webhooks/a.yaml").write_text(
        'id: a\ntrigger: {events: [order_placed]}\nrequest: {url: "https://example.com/a", body: {n: 1}}\n'
    )
    Path("config/pipeline.yaml").write_text(
        "source: {jsonl: {paths: [{path: ../orders.jsonl, format: shop}]}}\n"
    )
    assert hookline("check").code == 0
    sample = hookline("check", "--sample", stream)
    assert (sample.code, "2 lines, 0 of them cannot be read" in sample.out) == (0, True)
    dry = hookline("replay", stream, "--dry-run", "--format", "shop")
    assert (dry.code, dry.json["webhook"]) == (0, "a")
    # Now the config knows the shape.
    said = hookline("sniff", stream, "--json")
    assert said.json["formats"] == {"orders.jsonl": "shop"}
    assert said.json["proposals"] == []


def test_nothing_is_replaced_and_no_name_is_taken_twice(hookline: Hookline, stream: Path) -> None:
    assert hookline("sniff", stream, "-o", "shop").code == 0
    written = Path("config/shapes/shop.yaml").read_text()
    Path("more.jsonl").write_text('{"who": "a", "did": "click", "at": 1795435200}\n')
    for name, told in (
        ("shop", "there is a shape `shop` already"),
        ("segment", "`segment` is the name of a built-in shape"),
        ("My Shape", "cannot be a shape's name"),
        ("../x", "cannot be a shape's name"),
    ):
        said = hookline("sniff", "more.jsonl", "-o", name)
        assert (said.code, told in said.err) == (2, True), said
    Path("config/shapes/x.yaml").write_text("name: y\nrecords: [{event: {name: a, user_id: b}}]\n")
    said = hookline("sniff", "more.jsonl", "-o", "x")
    assert (said.code, "is there already" in said.err) == (2, True)
    assert Path("config/shapes/shop.yaml").read_text() == written


def test_it_is_data_as_json(hookline: Hookline, stream: Path) -> None:
    found = hookline("sniff", stream, "--json").json
    assert (found["records"], found["understood"]) == (2, 2)
    assert found["shapes"][0]["shape"] == "home-made"
    (made,) = found["proposals"]
    assert made["fields"][0]["time"] == {"path": "ts", "unit": "ms"}
    assert made["first"][0]["records"][0]["context"] == {"shop": "berlin"}


def test_standard_input_is_taken(hookline: Hookline, stream: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with stream.open("rb") as file:
        monkeypatch.setattr("pipeline.operate.sniff.sample.STDIN_FD", file.fileno())
        said = hookline("sniff", "-", "--json")
    assert (said.code, said.json["records"]) == (0, 2)
    assert said.json["proposals"][0]["name"] == "mine"


def test_how_it_ends(hookline: Hookline, stream: Path) -> None:
    assert hookline("sniff").code == 2
    assert "goes with --topic" in hookline("sniff", stream, "--brokers", "b:1").err
    said = hookline("sniff", "order.jsonl")
    assert (said.code, "did you mean orders.jsonl?" in said.err) == (2, True)
    Path("a.csv").write_text("id,name\n1,x\n")
    said = hookline("sniff", "a.csv")
    assert said.code == 1
    assert said.out.startswith("a.csv looks like CSV (its columns: id, name). Remedy:")
    Path("empty.jsonl").touch()
    said = hookline("sniff", "empty.jsonl", "--write", "x")
    assert (said.code, "empty.jsonl is empty" in said.out, "nothing was written" in said.err) == (
        1,
        True,
        True,
    )
    Path("odd.jsonl").write_text('{"a": 1.5}\n')
    said = hookline("sniff", "odd.jsonl")
    assert (said.code, "No shape can be proposed" in said.out) == (1, True)


def test_what_strangers_wrote_does_not_reach_the_terminal(hookline: Hookline, stream: Path) -> None:
    odd = "\x1b]0;owned\x07\x1b[2J\u202e"
    line = {"uid": odd, "event": odd, "ts": 1795435200, odd: odd, "data": {odd: odd}}
    Path("odd.jsonl").write_text(json.dumps(line) + "\n" + odd + "\n")
    for words in ((), ("--json",)):
        said = hookline("sniff", "odd.jsonl", *words)
        assert not set(said.out + said.err) & set("\x1b\x07\u202e"), said.out
