"""What is too expensive becomes a dead letter of its webhook, judged anew when it is asked for again."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from pipeline.operate.dlq import Selection, change
from pipeline.outbox.reading.view import dead_letters, owed
from tests.kit.inprocess import run_flow

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
