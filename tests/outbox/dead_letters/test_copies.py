"""Copies of dead letters: what they say, and that none is lost."""

from __future__ import annotations

import fcntl
import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event
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
from pipeline.outbox.copies import copies as copies_module
from pipeline.outbox.copies import kafka_copies
from pipeline.outbox.copies.copier import MOST_BYTES, MOST_LETTERS, Copier
from pipeline.outbox.copies.copies import BothCopies, JsonlCopies, open_copies
from pipeline.outbox.copies.place import NotCopied
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


def offsets_in(path: Path) -> list[int]:
    return [orjson.loads(line)["origin"]["offset"] for line in path.read_bytes().splitlines()]


def test_lines_are_appended_and_on_disk_when_copy_returns(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "dead.jsonl"
    for number in range(2):
        copies = JsonlCopies(path)
        copies.copy([letter(offset=number), letter(offset=number + 10)])
        copies.close()
    assert offsets_in(path) == [0, 10, 1, 11]
    assert path.stat().st_mode & 0o077 == 0, "payloads are for the owner alone"


def test_lines_are_written_under_a_lock_of_all_processes_and_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, steps = tmp_path / "dead.jsonl", list[str]()

    def noting(module: Any, name: str, step: Callable[..., str]) -> None:
        real = getattr(module, name)

        def noted(*given: Any) -> Any:
            steps.append(step(*given))
            return real(*given)

        monkeypatch.setattr(module, name, noted)

    noting(copies_module, "sync", lambda folder: f"sync {folder.name}")
    noting(copies_module, "append_all", lambda file, data: f"write {len(data.splitlines())}")
    noting(os, "fsync", lambda file: "fsync")
    locks = {fcntl.LOCK_EX: "lock", fcntl.LOCK_UN: "unlock"}
    noting(fcntl, "flock", lambda file, how: locks[how])
    before = metrics.read("dead_letter_copies_total", result="ok")
    copies = JsonlCopies(path)
    copies.copy([letter(offset=1), letter(offset=2)])
    copies.close()
    opened = steps.index("lock")
    assert f"sync {tmp_path.name}" in steps[:opened]
    assert steps[opened:] == ["lock", "write 2", "fsync", "unlock"]
    assert metrics.read("dead_letter_copies_total", result="ok") == before + 2
    JsonlCopies(path).copy([letter(offset=3)])
    assert path.read_bytes() == b"".join(to_json(letter(offset=offset)) + b"\n" for offset in (1, 2, 3))


def test_a_line_torn_by_a_crash_does_not_spoil_the_next(tmp_path: Path) -> None:
    path = tmp_path / "dead.jsonl"
    path.write_bytes(b'{"key":"whole"}\n{"key":"to')
    copies = JsonlCopies(path)
    copies.copy([letter()])
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
        copies.copy([letter(offset=number)])
        if number == 1:
            path.unlink() if removed else path.rename(rotated)
    copies.close()
    assert offsets_in(path) == [2]
    assert removed or len(rotated.read_bytes().splitlines()) == 2


def test_a_disk_that_was_full_takes_the_copies_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "dead.jsonl"
    copies = JsonlCopies(path)
    write = os.write
    written: list[int] = []

    def full(descriptor: int, data: Any) -> int:
        if written:
            raise OSError(28, "No space left on device")
        written.append(write(descriptor, data[:10]))
        return written[0]

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(NotCopied, match=r"dead\.jsonl: No space left on device"):
            copies.copy([letter()])
    copies.copy([letter()])
    torn, whole = path.read_bytes().splitlines()
    assert whole == to_json(letter())
    assert torn == whole[:10]
    copies.close()


def test_a_path_that_cannot_be_opened_is_told_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(Fatal, match="cannot write copies of dead letters to"):
        JsonlCopies(tmp_path / "file" / "dead.jsonl")


class Refusing:
    """A place that refuses as often as it is told to."""

    def __init__(self, times: int = 0) -> None:
        self.times = times
        self.batches: list[list[int]] = []
        self.closed = Event()

    def copy(self, letters: Sequence[DeadLetter]) -> None:
        self.batches.append([one.origin.offset for one in letters])
        if self.times:
            self.times -= 1
            raise NotCopied("it refuses")

    def close(self) -> None:
        self.closed.set()


def test_both_places_get_every_copy_once_though_one_of_them_refuses_at_first(tmp_path: Path) -> None:
    refusing = Refusing(1)
    both = BothCopies([JsonlCopies(tmp_path / "a"), refusing, JsonlCopies(tmp_path / "b")])
    with pytest.raises(NotCopied, match="it refuses"):
        both.copy([letter(offset=1)])
    both.copy([letter(offset=1)])
    both.copy([letter(offset=2)])
    both.close()
    assert refusing.closed.is_set()
    assert offsets_in(tmp_path / "a") == offsets_in(tmp_path / "b") == [1, 2]


def give(copier: Copier, *offsets: int) -> deque[bytes]:
    done: deque[bytes] = deque()
    for offset in offsets:
        copier.take(letter(offset=offset), 1_000, done)
    return done


def test_what_comes_while_one_of_two_places_refuses_gets_to_both(tmp_path: Path) -> None:
    class Late(Refusing):
        def copy(self, letters: Sequence[DeadLetter]) -> None:
            if self.times:
                copier.take(letter(offset=2), 1_000, done)
            super().copy(letters)

    late = Late(1)
    copier = Copier(BothCopies([JsonlCopies(tmp_path / "a"), late]), delay_secs=0.001)
    done = give(copier, 1)
    while not copier.wait(10):
        pass
    assert offsets_in(tmp_path / "a") == [1, 2]
    assert late.batches == [[1], [1], [2]]
    assert len(done) == 2
    copier.close()


def test_a_place_that_refuses_gets_the_same_letters_until_it_takes_them(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    place = Refusing(3)
    copier = Copier(place, delay_secs=0.001)
    before = metrics.read("dead_letter_copies_total", result="error")
    done = give(copier, 1)
    while not copier.wait(10):
        pass  # it is not waited for while it refuses
    assert list(done) == [letter(offset=1).key]
    assert place.batches == [[1]] * 4
    assert metrics.read("dead_letter_copies_total", result="error") == before + 3
    assert not copier.fails
    assert "dead letters are copied again" in caplog.text
    copier.close()
    assert place.closed.wait(10)


def test_a_place_that_fails_is_not_waited_for_at_the_end() -> None:
    place = Refusing(1_000_000)
    copier = Copier(place, delay_secs=1_000.0)
    done = give(copier, 1, 2)
    begun = time.monotonic()
    assert not copier.wait(1_000.0)
    assert copier.fails
    assert not done
    copier.close()
    assert place.closed.wait(10), "nor by the thread that would try again"
    assert time.monotonic() - begun < 500


def test_a_place_that_hangs_is_waited_for_so_long_and_no_longer() -> None:
    let_go = Event()

    class Hanging(Refusing):
        def copy(self, letters: Sequence[DeadLetter]) -> None:
            let_go.wait(60)

    copier = Copier(Hanging())
    done = give(copier, 1)
    assert not copier.wait(0.01)
    assert not copier.wait(60), "the time has begun with the first call"
    copier.close()
    let_go.set()
    assert not done


def test_what_is_on_the_way_is_bounded_in_number_and_bytes() -> None:
    let_go = Event()

    class Hanging(Refusing):
        def copy(self, letters: Sequence[DeadLetter]) -> None:
            let_go.wait(60)

    copier = Copier(Hanging())
    give(copier, *range(MOST_LETTERS - 1))
    assert copier.has_room
    give(copier, MOST_LETTERS)
    assert not copier.has_room
    copier.close()
    large = Copier(Hanging())
    large.take(letter(), MOST_BYTES, deque())
    assert not large.has_room
    large.close()
    let_go.set()


def test_what_is_copied_makes_room_for_what_comes_later() -> None:
    place, done = Refusing(), deque[bytes]()
    copier = Copier(place)
    for offset in range(3):
        assert copier.has_room
        copier.take(letter(offset=offset), MOST_BYTES, done)
        assert copier.wait(30)
    assert place.batches == [[0], [1], [2]]
    copier.close()


def test_one_that_was_given_nothing_closes_its_place() -> None:
    place = Refusing()
    Copier(place).close()
    assert place.closed.is_set()


def test_what_the_config_names_is_opened(tmp_path: Path) -> None:
    assert open_copies(DeadLettersSection()) is None
    copies = open_copies(DeadLettersSection(jsonl=DeadLettersJsonl(path=str(tmp_path / "dead.jsonl"))))
    assert isinstance(copies, JsonlCopies)
    copies.close()


def test_a_topic_is_one_of_the_brokers_that_are_named_else_of_the_source_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[tuple[Any, ...]] = []

    class Opened(Refusing):
        def __init__(self, *given: Any) -> None:
            super().__init__()
            opened.append(given)

    monkeypatch.setattr(kafka_copies, "KafkaCopies", Opened)
    source = KafkaSource(brokers="a:1", events=["events"], settings={"client.id": "x", "sasl.username": "u"})
    for brokers in (None, "b:2"):
        of = DeadLettersKafka(topic="dead", brokers=brokers, settings={"client.id": "y"})
        open_copies(DeadLettersSection(kafka=of), source)
    settings = {"client.id": "y"}
    assert opened == [("a:1", "dead", {**settings, "sasl.username": "u"}), ("b:2", "dead", settings)]
    to_file = DeadLettersJsonl(path=str(tmp_path / "dead.jsonl"))
    both = open_copies(DeadLettersSection(kafka=of, jsonl=to_file), source)
    assert isinstance(both, BothCopies)
    both.copy([letter(offset=1)])
    both.close()
    assert offsets_in(tmp_path / "dead.jsonl") == [1]


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
