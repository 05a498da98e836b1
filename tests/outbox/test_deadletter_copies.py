"""Copies of dead letters: what they say, and that none is lost."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
import orjson
import pytest

from pipeline.config.models.installation.job import DeadLettersJsonl, DeadLettersKafka, DeadLettersSection
from pipeline.config.models.installation.source import KafkaSource
from pipeline.language.slots import CLOSE, OPEN
from pipeline.model.errors import ConfigError, Fatal
from pipeline.model.records import Origin
from pipeline.outbox.codec import DeadLetter, delivery_key, replay_key
from pipeline.outbox.copies.copies import BothCopies, JsonlCopies, open_copies
from pipeline.outbox.handover import Progress, Request
from pipeline.outbox.reading.dead_letter_json import as_json_value, key_of, to_json
from pipeline.telemetry import metrics


def letter(
    kind: str = "delivery",
    reason: str = "status-400",
    source: str = "events/0",
    offset: int = 42,
    again: int = 0,
    **changes: Any,
) -> DeadLetter:
    request = Request(
        key=delivery_key("crm", Origin(source, offset, 3)),
        webhook_id="crm",
        message_id="msg_1",
        config="abc",
        method="POST",
        url="https://crm.test/x",
        headers=(("x-team", "growth"),),
        body=b'{"a":1}',
        user="u:u1",
        created_ms=1_700_000_000_000,
    )
    if again:
        changes["key"] = replay_key(request.key, again)
    return DeadLetter(
        kind=kind,
        reason=reason,
        dead_ms=1_700_000_001_000,
        request=msgspec.structs.replace(request, **changes),
        progress=Progress(attempt=2, status=400, excerpt="no"),
    )


def test_a_copy_says_what_was_sent_why_it_died_and_where_it_came_from() -> None:
    facts = orjson.loads(to_json(letter()))
    assert facts["request"] == {
        "method": "POST",
        "url": "https://crm.test/x",
        "headers": [["x-team", "growth"]],
        "body": '{"a":1}',
    }
    assert (facts["reason"], facts["status"], facts["attempts"], facts["response"]) == (
        "status-400",
        400,
        2,
        "no",
    )
    assert (facts["first_at"], facts["dead_at"]) == ("2023-11-14T22:13:20.000Z", "2023-11-14T22:13:21.000Z")
    assert facts["origin"] == {"source": "events/0", "offset": 42, "item": 3}
    assert facts["key"] == "crm/events/0:42#3"


def test_secrets_are_shown_by_name() -> None:
    slot = f"{OPEN}TOKEN{CLOSE}"
    text = to_json(
        letter(
            url=f"https://crm.test/{slot}?k={slot}",
            headers=(("authorization", f"Bearer {slot}"),),
            body=f'{{"t":"{slot}"}}'.encode(),
        )
    ).decode()
    assert text.count("${TOKEN}") == 3
    assert "%24%7BTOKEN%7D" in text
    assert OPEN not in text


def test_a_replay_of_a_letter_that_dies_again_has_another_key() -> None:
    assert key_of(letter()) != key_of(letter(again=1))


def test_bytes_that_are_no_text_and_odd_file_names_do_not_stop_a_copy() -> None:
    facts = orjson.loads(
        to_json(
            letter(
                kind="record", webhook_id="", body=b"\xff\x00{", source="caf\udce9.jsonl", reason="no JSON"
            )
        )
    )
    assert facts["request"]["body"] == "\\xff\x00{"
    assert facts["reason"] == "invalid: no JSON"
    assert facts["origin"]["source"] == "caf\\udce9.jsonl"


def test_bytes_that_look_like_a_slot_are_shown_as_they_are() -> None:
    facts = orjson.loads(to_json(letter(kind="record", body=b"\x01\xff\x02")))
    assert facts["request"]["body"] == "\x01\\xff\x02"


def test_lines_are_appended_and_on_disk_when_flush_returns(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "dead.jsonl"
    for number in range(2):
        copies = JsonlCopies(path)
        copies.write(letter(offset=number))
        copies.write(letter(offset=number + 10))
        assert len(path.read_bytes().splitlines()) == 2 * number, "nothing is written before the flush"
        copies.flush()
        copies.close()
    offsets = [orjson.loads(line)["origin"]["offset"] for line in path.read_bytes().splitlines()]
    assert offsets == [0, 10, 1, 11]
    assert path.stat().st_mode & 0o077 == 0, "payloads are for the owner alone"


def test_a_line_torn_by_a_crash_does_not_spoil_the_next(tmp_path: Path) -> None:
    path = tmp_path / "dead.jsonl"
    path.write_bytes(b'{"key":"whole"}\n{"key":"to')
    copies = JsonlCopies(path)
    copies.write(letter())
    copies.flush()
    copies.flush()
    copies.close()
    lines = path.read_bytes().splitlines()
    assert lines[1] == b'{"key":"to'
    assert orjson.loads(lines[2])["webhook"] == "crm"
    assert len(lines) == 3


@pytest.mark.parametrize("removed", [False, True], ids=["rotated", "removed"])
def test_a_file_that_was_taken_away_is_begun_anew(tmp_path: Path, removed: bool) -> None:
    path, rotated = tmp_path / "dead.jsonl", tmp_path / "dead.jsonl.1"
    copies = JsonlCopies(path)
    for number in range(3):
        copies.write(letter(offset=number))
        copies.flush()
        if number == 1:
            path.unlink() if removed else path.rename(rotated)
    copies.close()
    offsets = [orjson.loads(line)["origin"]["offset"] for line in path.read_bytes().splitlines()]
    assert offsets == [2]
    assert removed or len(rotated.read_bytes().splitlines()) == 2


def test_a_disk_that_takes_nothing_stops_the_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copies = JsonlCopies(tmp_path / "dead.jsonl")
    copies.write(letter())

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    before = metrics.read("dead_letter_copies_total", result="error")
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(Fatal, match="No space left on device; nothing is lost"):
            copies.flush()
    assert metrics.read("dead_letter_copies_total", result="error") == before + 1
    copies.flush()
    assert (tmp_path / "dead.jsonl").read_bytes() == to_json(letter()) + b"\n"
    copies.close()


def test_a_path_that_cannot_be_opened_is_told_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(Fatal, match="cannot write copies of dead letters to"):
        JsonlCopies(tmp_path / "file" / "dead.jsonl")


def test_both_places_get_every_copy(tmp_path: Path) -> None:
    both = BothCopies([JsonlCopies(tmp_path / "a"), JsonlCopies(tmp_path / "b")])
    both.write(letter())
    both.flush()
    both.close()
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() != b""


def test_what_the_config_names_is_opened(tmp_path: Path) -> None:
    assert open_copies(DeadLettersSection()) is None
    copies = open_copies(DeadLettersSection(jsonl=DeadLettersJsonl(path=str(tmp_path / "dead.jsonl"))))
    assert isinstance(copies, JsonlCopies)
    copies.close()


def test_a_topic_without_brokers_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"dead_letters\.kafka needs `brokers`"):
        open_copies(DeadLettersSection(kafka=DeadLettersKafka(topic="dead")))


def test_settings_that_librdkafka_refuses_are_named() -> None:
    with pytest.raises(ConfigError, match=r"dead_letters\.kafka\.settings: `x` is no setting of librdkafka"):
        open_copies(
            DeadLettersSection(kafka=DeadLettersKafka(topic="dead", settings={"x": 1})),
            KafkaSource(brokers="127.0.0.1:1", events=["events"]),
        )


def test_the_value_of_a_copy_is_the_same_as_its_line() -> None:
    assert orjson.loads(to_json(letter())) == as_json_value(letter())
