"""What is too expensive becomes a dead letter of its webhook, judged anew when it is asked for again."""

from __future__ import annotations

import time
from pathlib import Path

import orjson
import pytest

from pipeline.compile.snapshot import compile_config
from pipeline.config.files import read_config
from pipeline.language.secrets import Secrets
from pipeline.operate.dlq import Selection, change
from pipeline.outbox.handover import Outcome
from pipeline.outbox.reading.view import dead_letters, owed
from tests.hostile.bombs.run import calibrate
from tests.kit.inprocess import run_flow
from tests.kit.rig import Rig, delivery

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
