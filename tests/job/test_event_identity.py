"""What makes an event that event: its id, within its scope; `idempotency` and `dedupe` by several paths."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from pipeline.decode.decode import decode
from pipeline.job.story import Match
from pipeline.job.trials.rehearse import Rehearsal
from pipeline.model.errors import ConfigError
from pipeline.model.records import Origin
from pipeline.operate.offline import load_snapshot

BODY = 'request: {url: "https://hooks.example/in", body: {id: "{{ event.id }}"}}\n'


def fired(folder: Path, settings: str, *lines: dict[str, Any]) -> list[Match]:
    (folder / "webhooks").mkdir(exist_ok=True)
    (folder / "webhooks" / "w.yaml").write_text(f'id: w\ntrigger: {{events: "*"}}\n{settings}\n{BODY}')
    rehearsal = Rehearsal(load_snapshot(folder))
    return [
        match
        for offset, line in enumerate(lines)
        for record in decode(orjson.dumps(line), origin=Origin("f", offset))
        for match in rehearsal.rehearse(record)
    ]


def sent(matches: list[Match]) -> list[str]:
    return [match.message_id for match in matches if not match.suppressed]


def cloud(source: str, id: str = "1", **more: Any) -> dict[str, Any]:
    time = "2026-01-01T00:00:00Z"
    return {
        "specversion": "1.0",
        "type": "A",
        "id": id,
        "source": source,
        "subject": "u",
        "time": time,
        **more,
    }


def native(id: str | None, **more: Any) -> dict[str, Any]:
    return {"type": "event", "name": "A", "user_id": "u", "time": 1_700_000_000, "id": id, **more}


def test_cloudevents_of_two_sources_with_one_id_are_two_events(tmp_path: Path) -> None:
    matches = fired(tmp_path, "dedupe: {}", cloud("/de"), cloud("/fr"), native("1"))
    assert len(set(sent(matches))) == 3
    assert {match.request.body for match in matches if match.request} == {b'{"id":"1"}'}


def test_a_cloudevent_that_is_sent_twice_keeps_one_id_and_is_deduplicated(tmp_path: Path) -> None:
    assert len(set(sent(fired(tmp_path, "", cloud("/de"), cloud("/de"))))) == 1
    assert len(sent(fired(tmp_path, "dedupe: {by: event.id}", cloud("/de"), cloud("/de")))) == 1
    assert len(sent(fired(tmp_path, "limit: {by: event.id, every: ever}", cloud("/de"), cloud("/fr")))) == 2


def test_source_and_id_that_read_alike_when_joined_are_told_apart(tmp_path: Path) -> None:
    names = sent(
        fired(tmp_path, "", cloud("/a", "b"), cloud("/", "ab"), native('["/a","b"]'), cloud("/a\0", "b"))
    )
    assert len(set(names)) == 4


def test_the_ids_of_other_shapes_are_those_of_older_versions(tmp_path: Path) -> None:
    assert sent(fired(tmp_path, "", native("e1"), native(None))) == [
        "msg_" + digest for digest in ("d0603c26efa27b9ddc58dc8c5f258d44", "4375774668bb9398d34167c2601adafa")
    ]


def test_idempotency_takes_several_paths(tmp_path: Path) -> None:
    setting = "idempotency: {by: [event.source, event.id]}"
    lines = [native("1", source="eu"), native("1", source="us"), native("1", source="eu")]
    first, second, third = sent(fired(tmp_path, setting, *lines))
    assert first == third != second


def test_an_event_without_one_of_the_values_stands_alone(tmp_path: Path) -> None:
    lines = [native("1"), native("1"), native(None, source="eu"), native(None, source="eu")]
    assert len(set(sent(fired(tmp_path, "idempotency: {by: [event.source, event.id]}", *lines)))) == 4
    assert len(sent(fired(tmp_path, "dedupe: {by: [event.source, event.id]}", *lines))) == 4


@pytest.mark.parametrize("none", ["undefined", "null", "None", "00000000-0000-0000-0000-000000000000"])
def test_what_stands_for_no_id_makes_no_two_events_one(tmp_path: Path, none: str) -> None:
    two = [{"type": "event", "name": "A", "user_id": "u", "id": none, "source": "s"}] * 2
    for settings in ("dedupe: {by: event.id}", "dedupe: {by: [event.source, event.id]}"):
        assert len(set(sent(fired(tmp_path, settings, *two)))) == 2


def test_dedupe_takes_several_paths(tmp_path: Path) -> None:
    lines = [native("1", source="eu"), native("1", source="us"), native("1", source="eu")]
    assert len(sent(fired(tmp_path, "dedupe: {by: [event.source, event.id]}", *lines))) == 2


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("idempotency: {by: user.properties.key}", "does not stand in the event"),
        ("idempotency: {by: [event.id, evnt.source]}", "did you mean `event.source`?"),
        ("idempotency: {by: []}", "`idempotency.by`"),
        ("dedupe: {by: []}", "`dedupe.by`"),
        ("dedupe: {by: [event.id, 'event.properties.x[*]']}", "stands for many values"),
    ],
)
def test_paths_that_identify_nothing_are_refused(tmp_path: Path, setting: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        fired(tmp_path, setting)
    assert said in str(caught.value)
