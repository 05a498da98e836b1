"""What is too expensive becomes a dead letter of its webhook, judged anew when it is asked for again."""

from __future__ import annotations

import time
from pathlib import Path

import orjson
import pytest

from pipeline.compile.snapshot import compile_config
from pipeline.config.files import read_config
from pipeline.decode.decode import decode
from pipeline.job.replay import Replay
from pipeline.job.trials.preview import Preview
from pipeline.language.secrets import Secrets
from pipeline.model.records import Invalid, Origin
from pipeline.operate.kept.dlq import Selection, change
from pipeline.operate.offline import load_snapshot
from pipeline.operate.trials.dry_run import would_send
from pipeline.operate.trials.explain import explain
from pipeline.operate.trials.given import Given
from pipeline.outbox.handover import Outcome
from pipeline.outbox.reading.view import accounting, dead_letters, owed
from tests.hostile.bombs.run import calibrate
from tests.kit.delivery.rig import Rig, delivery
from tests.kit.programs.inprocess import run_flow

pytestmark = pytest.mark.timeout(60)

WEBHOOK = """\
id: {name}
trigger:
  events: [bought]
  where: {{{where}}}
request: {{url: "https://shop.example/{name}", body: {body}}}
"""
BOMB = "any_element: {event.properties.a: {x: 1}}"
USER_BOMB = "any_element: {event.properties.a: {x: {path: user.properties.n}}}"


def write(folder: Path, webhooks: dict[str, tuple[str, str]], elements: int) -> None:
    for name, (where, body) in webhooks.items():
        file = folder / "config" / "webhooks" / f"{name}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(WEBHOOK.format(name=name, where=where, body=body))
    (folder / "config" / "pipeline.yaml").write_text("source: {jsonl: {paths: [stream.jsonl]}}\n")
    records = [
        {
            "type": "track",
            "event": "bought",
            "userId": "u",
            "messageId": f"m{number}",
            "properties": properties,
        }
        for number, properties in enumerate([{"n": 1}, {"n": 1, "a": [{}] * elements}, {"n": 1}])
    ]
    (folder / "stream.jsonl").write_bytes(b"".join(orjson.dumps(one) + b"\n" for one in records))


def test_a_bomb_is_one_letter_of_its_webhook_and_the_others_send(tmp_path: Path):
    write(
        tmp_path,
        {
            "dear": (BOMB, "{a: 1}"),
            "of-user": (USER_BOMB, "{a: 1}"),
            "fine": ("event.properties.n: 1", "{a: 1}"),
        },
        60_000,
    )
    requests, _ = run_flow(tmp_path)
    assert {url for _, url, _ in requests} == {"https://shop.example/fine"}
    assert len(requests) == 3
    letters = [letter for _, letter in dead_letters(tmp_path / "state")]
    assert sorted(letter.request.webhook_id for letter in letters) == ["dear", "of-user"]
    for letter in letters:
        assert letter.kind == "condition"
        assert letter.reason.startswith("too-expensive: ")
        assert f"{letter.request.webhook_id}.yaml" in letter.reason
        assert "any_element: event.properties.a" in letter.reason


@pytest.mark.parametrize(
    ("where", "sent"),
    [(BOMB, 0), ("any_element: {event.properties.a: {x: {exists: false}}}", 1), ("event.properties.n: 1", 1)],
    ids=["does not hold", "holds within ten times the budget", "is another condition now"],
)
def test_a_replay_judges_the_condition_again(tmp_path: Path, where: str, sent: int):
    write(tmp_path, {"dear": (BOMB, "{a: 1}")}, 60_000)
    assert run_flow(tmp_path)[0] == []
    assert change(tmp_path / "state", "replay", Selection()) is not None
    write(tmp_path, {"dear": (where, "{a: 1}")}, 60_000)
    run_flow(tmp_path)
    assert len(list(owed(tmp_path / "state"))) == sent
    assert len(list(dead_letters(tmp_path / "state"))) == 1 - sent


def test_what_hundreds_of_webhooks_find_dear_is_bounded_and_the_last_say_why(tmp_path: Path):
    hundreds = {f"dear-{number:02}": (USER_BOMB, "{a: 1}") for number in range(30)}
    write(tmp_path, {**hundreds, "fine": ("event.properties.n: 1", "{a: 1}")}, 60_000)
    begun = time.thread_time()
    requests, _ = run_flow(tmp_path)
    assert len(requests) == 3
    letters = {letter.request.webhook_id: letter.reason for _, letter in dead_letters(tmp_path / "state")}
    assert letters.keys() == hundreds.keys()
    for_all = sorted(name for name, reason in letters.items() if "for all webhooks together" in reason)
    assert for_all == sorted(hundreds)[-len(for_all) :], "in the order of the config"
    assert 20 < len(for_all) < 30
    assert time.thread_time() - begun < 60 * calibrate(), "thirty budgets would be more than a hundred"


FAILS = """\
id: w
trigger: {events: [bought]}
request: {url: "https://shop.example/"}
delivery: {fail_when: {any_element: {response.a: {x: 1}}}}
"""


def test_an_answer_that_is_too_dear_to_judge_is_no_success(tmp_path: Path):
    (tmp_path / "webhooks").mkdir()
    (tmp_path / "webhooks" / "w.yaml").write_text(FAILS)
    snapshot = compile_config(read_config(tmp_path, environ={}), secrets=Secrets({})).require()
    rig = Rig(snapshot.by_id["w"].spec)
    dear, fair = [(200, {"answer": orjson.dumps({"a": [{}] * number})}) for number in (60_000, 1_000)]
    rig.client.by_message.update({"msg_1": [dear, fair], "msg_2": [dear] * 9})
    rig.give(delivery(1), delivery(2))
    rig.run(60)
    ends = [each for each in rig.results() if each.outcome is not Outcome.RETRY]
    assert [(each.outcome, each.reason) for each in ends] == [
        (Outcome.DELIVERED, ""),
        (Outcome.DEAD, "answer-unreadable"),
    ]
    excerpt = ends[1].delivery.progress.excerpt
    assert excerpt.startswith("unreadable: 200, but `fail_when` takes more work on it than conditions may")


def write_excluded(folder: Path, member: bool) -> bytes:
    """Write a stream of which one event is too dear for an excluded label; return its bytes."""
    where = {"asks": ("event.properties.n: 1", "{a: 1}"), "asks-too": ("event.properties.n: 1", "{a: 1}")}
    write(folder, {**where, "other": ("event.properties.n: 2", "{a: 1}")}, 60_000)
    (folder / "config" / "webhooks" / "all.yaml").write_text(
        WEBHOOK.format(name="all", where="event.properties.n: 1", body="{a: 1}") + "include_excluded: true\n"
    )
    (folder / "config" / "labels").mkdir()
    (folder / "config" / "labels" / "staff.yaml").write_text(f"name: staff\nwhere: {{{BOMB}}}\n")
    (folder / "config" / "pipeline.yaml").write_text(
        "source: {jsonl: {paths: [stream.jsonl]}}\nexclude: [staff]\n"
    )
    lines = (folder / "stream.jsonl").read_bytes().splitlines()
    if member:
        (folder / "stream.jsonl").write_bytes(b'{"batch": [%b]}\n' % b",".join(lines))
    return lines[1]


@pytest.mark.parametrize("member", [False, True], ids=["a line", "a member of an envelope"])
def test_an_excluded_label_that_is_too_dear_makes_one_dead_record(tmp_path: Path, member: bool):
    line = write_excluded(tmp_path, member)
    found = []
    for state, chunk, crash_after in [("one", 200, None), ("other", 1, 3)]:
        requests, _ = run_flow(tmp_path, state=state, chunk=chunk, crash_after=crash_after)
        if crash_after is not None:
            requests, _ = run_flow(tmp_path, state=state, chunk=chunk)
        else:
            assert sorted(url.rpartition("/")[2] for _, url, _ in requests) == sorted(
                ["asks", "asks", "asks-too", "asks-too", "all", "all", "all"]
            )
        [letter] = [letter for _, letter in dead_letters(tmp_path / state)]
        assert (letter.kind, letter.request.webhook_id) == ("record", "")
        assert letter.reason.startswith("too-expensive: ")
        assert "the label `staff`" in letter.reason
        assert orjson.loads(letter.request.body) == orjson.loads(line)
        found.append((letter.reason, letter.request.key, letter.request.body))
        counts = accounting(tmp_path / state)["records"]
        assert (counts["read"], counts["events"], counts["invalid"]) == (3, 2, 1)
    assert found[0] == found[1]


def test_explain_and_a_dry_run_say_that_the_record_is_dead(tmp_path: Path):
    line = write_excluded(tmp_path, member=False)
    given = Given("line", decode(line, origin=Origin("given", 0)), None)
    said = {one.webhook: one.verdict for one in explain(load_snapshot(tmp_path / "config"), given)}
    assert said["all"] == "fires"
    assert said["asks"] == said["asks-too"]
    assert said["asks"].startswith("does not fire: the record is a dead letter (too-expensive: ")
    told = list(would_send(tmp_path / "config", [str(tmp_path / "stream.jsonl")], None, Replay()))
    assert [one.reason for one in told if isinstance(one, Invalid)] == [said["asks"].partition("(")[2][:-1]]
    assert sum(isinstance(one, Preview) for one in told) == 7
