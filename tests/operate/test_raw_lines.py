"""Raw lines of the configured shapes: `explain --line` and `--dlq`, `check --sample`, a dry run; and what
a run says of records that it does not understand."""

from __future__ import annotations

import gzip
import json
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import orjson
import pytest

from pipeline.cli.app import run
from pipeline.job.format_check import LEAST, FormatCheck
from pipeline.model.records import Invalid, Origin
from pipeline.operate.trials.given import formats_for
from pipeline.sources.files.lines.recorded import Message, dump_line, parse_line
from tests.kit.programs.run import Bench

SHOP = "name: shop\nrecords:\n- event: {name: type, user_id: uid}\n- when: [{ping: true}]\n  ignore: true\n"
LINES = [{"type": "A", "uid": 1}, {"ping": True}, {"odd": 1}]
PIPELINE = (
    "{network: {allow: [127.0.0.0/8]}, epoch: 100ms, shards: 1, "
    "source: {jsonl: {paths: [{path: s.jsonl, format: shop}]}}}"
)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path, settings=PIPELINE)
    bench.write(
        "a", 'trigger: {events: [A]}\nrequest: {url: "http://127.0.0.1:9/x", body: {n: "{{ event.name }}"}}\n'
    )
    (bench.config / "shapes").mkdir()
    (bench.config / "shapes" / "shop.yaml").write_text(SHOP)
    (bench.config / "s.jsonl").write_text("".join(json.dumps(line) + "\n" for line in LINES))
    return bench


def said(capsys: pytest.CaptureFixture[str], bench: Bench, *words: object) -> tuple[int, str, str]:
    code = run([*map(str, words), "-c", str(bench.config)])
    found = capsys.readouterr()
    return code, found.out, found.err


def test_a_line_has_the_user_that_the_lines_before_it_say(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    request = "{url: 'http://127.0.0.1:9/x', body: {who: '{{ user.properties.name }}'}}"
    bench.write(
        "a", f"trigger: {{events: [Buy], where: {{user.properties.plan: pro}}}}\nrequest: {request}\n"
    )
    stream, user = bench.folder / "told.jsonl", bench.folder / "user.json"
    lines = [
        {"type": "user", "anonymous_id": "a1", "set": {"name": "Ada"}},
        {"type": "user", "user_id": "u2", "set": {"plan": "pro", "name": "Bob"}},
        {"type": "identify", "anonymous_id": "a1", "user_id": "u1"},
        {"type": "event", "name": "Buy", "anonymous_id": "a1"},
        {"type": "user", "user_id": "u1", "set": {"plan": "pro"}},
        {"type": "event", "name": "Buy", "anonymous_id": "a1"},
        {"type": "user", "user_id": "u1", "delete": True},
    ]
    stream.write_text("".join(f"{json.dumps(one)}\n" for one in lines))
    user.write_text('{"name": "Eve"}')
    asked = ("explain", "--format", "native", "--json", "--event", stream, "--line")
    assert "no event: " in said(capsys, bench, *asked[:3], "--event", stream, "--line", 7)[2]
    assert said(capsys, bench, *asked, 4)[0] == 1
    code, out, _ = said(capsys, bench, *asked, 6)
    assert (code, json.loads(out)[0]["request"]["body"]) == (0, {"who": "Ada"})
    assert said(capsys, bench, *asked, 6, "--user", user)[0] == 1
    os.mkfifo(pipe := bench.folder / "pipe")  # read once: what came before is gone
    with ThreadPoolExecutor() as pool:
        written = pool.submit(pipe.write_bytes, stream.read_bytes())
        assert said(capsys, bench, *asked[:-2], pipe, "--line", 6)[0] == 1
        written.result()


def test_explain_takes_the_nth_line_of_a_stream(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    stream = bench.config / "s.jsonl"
    code, out, _ = said(capsys, bench, "explain", "--event", stream, "--line", 1, "--json")
    assert code == 0
    assert json.loads(out)[0]["verdict"] == "fires"
    for number, told in ((2, "leave it out"), (3, "no entry of the shape `shop` fits"), (4, "has 3 lines")):
        code, _, err = said(capsys, bench, "explain", "--event", stream, "--line", number)
        assert code != 0
        assert told in err
    native = bench.config / "native.jsonl"
    native.write_text('{"name": "A", "user_id": "u"}\n' * 2)
    assert "`--line N`" in said(capsys, bench, "explain", "--event", native, "--format", "native")[2]
    assert "name a record" in said(capsys, bench, "explain", "--line", 1)[2]
    assert "brings its user" in said(capsys, bench, "explain", "--dlq", "x", "--user", stream)[2]


def test_a_line_of_a_stream_is_explained_with_what_was_known_of_its_user(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    stream, user = bench.config / "s.jsonl", bench.config / "user.json"
    user.write_text('{"plan": "pro"}')
    asked = ("explain", "--event", stream, "--line", 1, "--webhook", "pro")
    trigger = "trigger: {events: [A], where: [{user.properties.plan: pro}]}"
    bench.write("pro", f"{trigger}\nrequest: {{url: 'http://127.0.0.1:9/x'}}\n")
    assert said(capsys, bench, *asked)[0] == 1
    assert said(capsys, bench, *asked, "--user", user)[0] == 0


@pytest.mark.parametrize(
    ("value", "told"),
    [("18446744073709551616", "does not fit into 64 bits"), ("[" * 250 + "]" * 250, "nested")],
)
def test_explain_refuses_what_the_job_refuses_and_rounds_nothing(
    bench: Bench, capsys: pytest.CaptureFixture[str], value: str, told: str
) -> None:
    event, user = bench.config / "e.json", bench.config / "u.json"
    for wrong, right in ((event, user), (user, event)):
        right.write_text('{"type": "A", "uid": 1}')
        wrong.write_text(f'{{"type": "A", "uid": 1, "n": {value}}}')
        code, _, err = said(capsys, bench, "explain", "--event", event, "--format", "shop", "--user", user)
        assert code != 0
        assert f"{wrong.name}: error[json]" in err
        assert told in err


def test_explain_says_of_a_record_of_nobody_that_a_job_refuses_it(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    event = bench.config / "e.json"
    event.write_text('{"type": "event", "name": "A"}')
    code, out, err = said(capsys, bench, "explain", "--event", event, "--format", "native")
    assert (code, "fires on A" in out) == (0, True)
    assert "names nobody: a job refuses it without a `user_id`" in err
    event.write_text('{"type": "event", "name": "A", "anonymous_id": "someone"}')
    code, _, err = said(capsys, bench, "explain", "--event", event, "--format", "native")
    assert (code, "names nobody" in err) == (0, False)
    event.write_text('{"type": "event", "name": "A", "userId": "u1"}')
    code, _, err = said(capsys, bench, "explain", "--event", event, "--format", "native")
    assert (code, "`userId` is no field of an event: did you mean `user_id`?" in err) == (1, True)
    (bench.config / "shapes" / "shop.yaml").write_text(SHOP.replace("uid", "userId"))
    event.write_text('{"type": "event", "userId": "u1"}')  # a record of that shape
    code, out, err = said(capsys, bench, "explain", "--event", event)
    assert (code, "does not fire on event" in out, err) == (1, True, "")


def test_check_shows_what_the_formats_make_of_a_sample(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = said(capsys, bench, "check", "--sample", bench.config / "s.jsonl")
    assert code == 1
    assert "s.jsonl line 1 (shop)\n  {" in out
    assert '"name":"A"' in out
    assert "(shop): left out" in out
    assert "3 lines, 1 of them cannot be read: `hookline sniff" in out


def test_a_dry_run_tells_dead_letters_and_fails_where_there_is_nothing_else(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    stream = bench.config / "s.jsonl"
    code, out, err = said(capsys, bench, "replay", stream, "--dry-run", "--format", "shop")
    assert code == 0
    assert json.loads(out)["body"] == {"n": "A"}
    assert "dead letter: s.jsonl line 3: no entry of the shape `shop` fits" in err
    assert "1 request, 1 dead letter" in err
    code, out, err = said(capsys, bench, "replay", stream, "--dry-run", "--format", "segment")
    assert (code, out) == (1, "")
    assert "0 requests, 3 dead letters: `hookline sniff FILE`" in err
    code, _, err = said(capsys, bench, "replay", stream, "--dry-run", "--format", "shopp")
    assert "did you mean `shop`?" in err


def test_a_dry_run_tells_what_cannot_be_rendered(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    request = "{url: 'http://127.0.0.1:9/x', body: {n: '{{ event.name | plus: 1 }}'}}"
    bench.write("b", f"trigger: {{events: [A]}}\nlimit: {{every: ever}}\nrequest: {request}\n")
    stream = bench.config / "s.jsonl"
    code, out, err = said(capsys, bench, "replay", stream, "--dry-run", "--format", "shop")
    assert (code, json.loads(out)["webhook"]) == (0, "a")
    assert "dead letter: b: plus wants a number" in err
    assert "1 request, 2 dead letters" in err
    only = said(capsys, bench, "replay", stream, "--dry-run", "--format", "shop", "--webhook", "b")
    assert only[0] == 1


def test_a_named_pipe_is_read_once_somebody_writes_and_not_waited_for_for_ever(
    bench: Bench, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe = bench.folder / "pipe"
    os.mkfifo(pipe)
    for verb in (["explain", "--event"], ["sniff"]):
        with ThreadPoolExecutor(1) as pool:
            pool.submit(pipe.write_text, json.dumps(LINES[0]) + "\n")
            code, out, err = said(capsys, bench, *verb, pipe)
        assert code == 0, err
        assert "fires on A" in out or "1 record of" in out
    monkeypatch.setattr("pipeline.model.files.plain_file.WRITER_SECS", 0.05)
    assert "it is a pipe to which nobody writes" in said(capsys, bench, "explain", "--event", pipe)[2]
    assert "empty" in "".join(map(str, said(capsys, bench, "sniff", pipe)))


def test_lines_are_counted_as_an_editor_does(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    lines = "\n".join(["", json.dumps(LINES[0]), "  ", json.dumps(LINES[2])])
    packed = bench.config / "packed.jsonl.gz"
    packed.write_bytes(gzip.compress(lines.encode()))
    out = said(capsys, bench, "check", "--sample", packed)[1]
    assert "packed.jsonl.gz line 2 (shop)" in out
    assert "packed.jsonl.gz line 4 (shop)\n  dead letter" in out
    assert said(capsys, bench, "explain", "--event", packed, "--line", 2)[0] == 0
    assert "line 3 of" in (err := said(capsys, bench, "explain", "--event", packed, "--line", 3)[2])
    assert "is blank" in err
    assert "has 4 lines" in said(capsys, bench, "explain", "--event", packed, "--line", 5)[2]


def test_what_a_path_is_read_by_reads_its_file_its_copies_and_its_recording(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = bench.folder / "copy.jsonl"
    copy.write_bytes((bench.config / "s.jsonl").read_bytes())
    recording = bench.folder / "a.rec.jsonl"
    messages = [Message("s.jsonl", at, None, None, None, orjson.dumps(one)) for at, one in enumerate(LINES)]
    recording.write_bytes(b"".join(map(dump_line, messages)))
    for stream in (bench.config / "s.jsonl", copy, recording):
        code, out, err = said(capsys, bench, "replay", stream, "--dry-run")
        assert (code, json.loads(out)["body"]) == (0, {"n": "A"}), stream
        assert "1 request, 1 dead letter" in err
    assert run(["diff", str(bench.config), str(bench.config), "--stream", str(copy), "--json"]) == 0
    found = capsys.readouterr()
    assert json.loads(found.out)["a"]["same"] == 1
    told = "not understood, and in no count: 1 record, the first at copy.jsonl line 3: no entry"
    assert told in found.err
    # Nothing fires in the job: it would wait for a receiver.
    bench.write("a", 'trigger: {events: [B]}\nrequest: {url: "http://127.0.0.1:9/x"}\n')
    for stream in (bench.config / "s.jsonl", copy, recording):
        state = bench.folder / f"state-{stream.stem}"
        words = ["run", "--yes", "--json", "--source", str(stream), "-c", str(bench.config)]
        assert run([*words, "--state", str(state)]) == 0
        records = json.loads(capsys.readouterr().out)["records"]
        assert (records["events"], records["invalid"]) == (1, 1), stream


def test_of_paths_with_several_formats_other_files_are_of_the_source_s(bench: Bench) -> None:
    paths = "[{path: s.jsonl, format: shop}, {path: t.jsonl, format: heap}, {path: u/t.jsonl, format: shop}]"
    (bench.config / "pipeline.yaml").write_text(f"source: {{jsonl: {{format: segment, paths: {paths}}}}}")
    formats = formats_for(bench.config)
    named = [formats.of(source).name for source in ("s.jsonl", "x.jsonl", "t.jsonl")]
    assert named == ["shop", "segment", "segment"]
    assert formats.of("t.jsonl", "u/t.jsonl").name == "shop"


def test_what_lies_in_a_folder_of_the_config_has_its_format(
    bench: Bench, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = "[{path: own/, format: shop}, {path: seg/, format: segment}]"
    network = "network: {allow: [127.0.0.0/8]}, epoch: 100ms, shards: 1"
    (bench.config / "pipeline.yaml").write_text(f"{{{network}, source: {{jsonl: {{paths: {paths}}}}}}}")
    lines = {"own/2026/a.jsonl": LINES[0], "seg/b.jsonl": {"type": "track", "event": "B", "userId": "u"}}
    for name, line in lines.items():
        (bench.config / name).parent.mkdir(parents=True)
        (bench.config / name).write_text(json.dumps(line) + "\n")
    monkeypatch.chdir(bench.config / "own")
    code, out, err = said(capsys, bench, "replay", "2026/a.jsonl", "../seg", "--dry-run")
    assert (code, json.loads(out)["body"], "0 dead letters" in err) == (0, {"n": "A"}, True)
    bench.write("a", 'trigger: {events: [C]}\nrequest: {url: "http://127.0.0.1:9/x"}\n')
    (bench.config / "pipeline.yaml").write_text(f"{{{network}, source: {{jsonl: {{paths: {paths}}}}}}}")
    for format, invalid in ((), 0), (("--format", "shop"), 1):
        words = ("replay", "2026", "../seg", *format, "--state", bench.folder / f"of-{invalid}", "--json")
        code, out, err = said(capsys, bench, *words)
        assert (code, json.loads(out)["records"]["invalid"]) == (0, invalid), err


def test_a_run_that_understands_hardly_anything_says_so_with_the_first_reason(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    (bench.config / "s.jsonl").write_text('{"odd":1}\n{"odd":2}\n{"ping":true}\n{"ping":true}\n{"odd":3}\n')
    assert run(["run", "-c", str(bench.config), "--state", str(bench.state), "--yes"]) == 0
    out, err = capsys.readouterr()
    wanted = (
        "none of the records could be understood. One of them: invalid: no entry of the shape `shop` fits"
    )
    assert wanted in err
    assert "`hookline sniff FILE` says which shape they have." in err
    assert "left out as their shape says (`ignore`): 2 records" in out
    status = bench.hookline("status")
    assert wanted in status
    letter = bench.listed("dlq")[0]["id"]
    (bench.config / "shapes" / "shop.yaml").write_text(SHOP + "- event: {name: {text: A}, user_id: odd}\n")
    code, out, err = said(capsys, bench, "explain", "--dlq", letter, "--state", bench.state)
    assert (code, "fires on A" in out) == (0, True), err


def test_records_that_nobody_could_read_are_replayed_by_the_mended_shape(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    topic = bench.folder / "t.rec.jsonl"
    head = [("kind", b"A")]
    values = [b'{"n":1}', b'[{"n":2},{"n":3}]', None, b"\xff", b'{"n":4}']
    messages = [
        Message("shop.t/0", at, 1790000000000 + at, b'{"id": "u%d"}' % at, head, value)
        for at, value in enumerate(values)
    ]
    topic.write_bytes(b"".join(map(dump_line, messages)))
    shape = bench.config / "shapes" / "shop.yaml"
    event = "{name: message.headers.kind, user_id: message.key.id, properties: .}"
    mended = f"name: shop\nrecords:\n- event: {event}\n"
    words = ["run", "-c", bench.config, "--state", bench.state, "--yes", "--source", topic, "--json"]
    shape.write_text(mended.replace("headers.kind", "headers.sort"))
    assert run([*map(str, words)]) == 0
    assert json.loads(capsys.readouterr().out)["records"]["invalid"] == 6
    shape.write_text(mended)
    said = bench.hookline("dlq", "export", "--records", "-o", bench.folder / "x.jsonl", code=2)
    assert "call it NAME.rec.jsonl" in said
    letter = next(one for one in bench.listed("dlq") if one["origin"]["offset"] == 4)
    around = {"time": "2026-09-21T14:13:20.004Z", "key": '{"id": "u4"}', "headers": [["kind", "A"]]}
    assert letter["message"] == {**around, "is_tombstone": False}
    said = bench.hookline("dlq", "show", letter["id"])
    assert 'message of 2026-09-21T14:13:20.004Z\nkey: {"id": "u4"}\nkind: A\n' in said
    dead = bench.folder / "dead.rec.jsonl"
    said = bench.hookline("dlq", "export", "--records", "-o", dead)
    assert "6 records written to" in said
    assert f"`hookline replay {dead} -c ..` reads them by the present shapes" in said
    found = [parse_line(line) for line in dead.read_bytes().splitlines()]
    assert [one._replace(source="") for one in found if one.offset != 1] == [
        one._replace(source="") for one in messages if one.offset != 1
    ]
    assert [one.source for one in found] == ["shop.t/0", "shop.t/0", "shop.t~1/0", *["shop.t/0"] * 3]

    def requests(stream: Path) -> dict[str, str]:
        run(["replay", str(stream), "--dry-run", "-c", str(bench.config)])
        made = map(json.loads, capsys.readouterr().out.splitlines())
        return {one["body"]["u"] + str(one["body"]["p"]["n"]): one["headers"]["webhook-id"] for one in made}

    text = 'request: {url: "http://127.0.0.1:9/x", body: {u: "{{ user.id }}", p: "{{ event.properties }}"}}\n'
    bench.write("a", "trigger: {events: [A]}\n" + text)
    read_at_once, read_again = requests(topic), requests(dead)
    assert read_again.keys() == read_at_once.keys() == {"u01", "u12", "u13", "u44"}
    assert {one for one in read_again if read_again[one] == read_at_once[one]} == {"u01", "u12", "u44"}
    assert len({*read_again.values()}) == 4


def test_a_line_with_several_wrong_parts_is_exported_once(bench: Bench) -> None:
    (bench.config / "shapes" / "shop.yaml").write_text(
        "name: shop\nrecords:\n- event: {each: 'l[*]', name: n, user_id: ^.uid, time: {path: t, unit: s}}\n"
    )
    (bench.config / "s.jsonl").write_text('{"uid":1,"l":[{"n":"A","t":"x"},{"n":"B"},{"n":"A","t":"y"}]}\n')
    bench.write("a", 'trigger: {events: [C]}\nrequest: {url: "http://127.0.0.1:9/x"}\n')
    assert run(["run", "-c", str(bench.config), "--state", str(bench.state), "--yes"]) == 0
    assert len(bench.listed("dlq")) == 2
    dead = bench.folder / "dead.rec.jsonl"
    assert "1 record written" in bench.hookline("dlq", "export", "--records", "-o", dead)


def test_the_log_says_once_that_most_records_are_not_understood(caplog: pytest.LogCaptureFixture) -> None:
    found = FormatCheck()
    broken: list[Any] = [Invalid(b"{}", "it has no name", Origin("f", 0))]
    with caplog.at_level(logging.ERROR):
        found.saw(LEAST - 1, 20, broken)
        found.saw(1, 0, [])
        assert not caplog.records
        found.saw(20, 20, broken)
        found.saw(20, 20, broken)
    assert [record.getMessage() for record in caplog.records] == ["most of the records cannot be parsed"]
