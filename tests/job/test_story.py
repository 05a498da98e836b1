"""The parts of the story: who is chosen, what is told, what is swept, what a request is called."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from pipeline.compile.snapshot import Snapshot
from pipeline.job.replay import Replay
from pipeline.job.story import Match, Moment, Owned, Story, choose, message_name
from pipeline.join.caps import LATE_MS
from pipeline.model.records import Event, Invalid, Record
from pipeline.operate.offline import load_snapshot
from pipeline.store.memory import MemoryRows
from pipeline.store.rows import Table
from tests.kit.streams.records import NOON, event, link, update

DAY_MS = 24 * 3600 * 1000


def snapshot_of(folder: Path, **settings: str) -> Snapshot:
    """Return a config with a webhook for each name, in their order; a setting is what its file adds."""
    (folder / "webhooks").mkdir()
    for name, text in settings.items():
        request = f'request: {{url: "https://hooks.example/{name}"}}\n'
        (folder / "webhooks" / f"{name}.yaml").write_text(f"id: {name}\n{text}\n{request}")
    return load_snapshot(folder)


def story(replay: Replay | None = None, rows: MemoryRows | None = None) -> Story:
    return Story(rows or MemoryRows(), lambda: NOON + 1000 * DAY_MS, replay)


def told(one: Story, snapshot: Snapshot, *owned: Owned, seen: list[Moment] | None = None) -> list[Match]:
    found = list(one.tell(owned, snapshot, "p", seen))
    assert not any(isinstance(each, Invalid) for each in found)
    return [each for each in found if isinstance(each, Match)]


def own(one: Event, *candidates: int) -> Owned:
    return "u:u1", one, candidates


def test_of_events_those_go_on_that_a_webhook_may_want_and_all_else_does(tmp_path: Path) -> None:
    triggers = snapshot_of(tmp_path, w="trigger: {events: [Purchase]}").triggers
    wanted, other = event(), event("Page Viewed")
    known, linked, broken = update(user="u1"), link("a", "u1"), Invalid(b"{", "no JSON", wanted.origin)
    records: list[Record] = [other, known, wanted, linked, other, broken]
    assert choose(records, triggers) == [(known, ()), (wanted, (0,)), (linked, ()), (broken, ())]


def test_a_change_that_no_webhook_waits_for_is_seen_by_who_asks_for_every_moment(tmp_path: Path) -> None:
    snapshot = snapshot_of(tmp_path, w="trigger: {changes: user.properties.plan}")
    one, seen = story(), list[Moment]()
    told(one, snapshot, ("u:u1", update(user="u1", set={"name": "Ada"}), ()), seen=seen)
    told(one, snapshot, ("u:u1", update(user="u1", set={"name": "Ada"}), ()), seen=seen)
    assert [moment.properties for moment, _ in seen] == [{"name": "Ada"}], "the second one changed nothing"


def test_what_cannot_be_asked_is_a_match_without_a_request_of_that_webhook_alone(tmp_path: Path) -> None:
    snapshot = snapshot_of(tmp_path, a="trigger: {events: '*'}", b="trigger: {events: '*'}")
    matches = told(story(), snapshot, own(event(), 0, ~1))
    assert [(one.webhook.id, one.undecided, one.request is None) for one in matches] == [
        ("a", False, False),
        ("b", True, True),
    ]


@pytest.mark.parametrize(
    ("replay", "fired"),
    [
        (Replay(), ["a", "b"]),
        (Replay(webhooks=frozenset({"b"})), ["b"]),
        (Replay(since_ms=NOON + 1), []),
        (Replay(webhooks=frozenset({"b"}), since_ms=NOON + 1), []),
    ],
)
@pytest.mark.parametrize("asked", [(0, 1), (~0, ~1)])
def test_a_replay_fires_its_webhooks_for_its_events(
    tmp_path: Path, replay: Replay, fired: list[str], asked: tuple[int, ...]
) -> None:
    snapshot = snapshot_of(tmp_path, a="trigger: {events: '*'}", b="trigger: {events: '*'}")
    assert [one.webhook.id for one in told(story(replay), snapshot, own(event(), *asked))] == fired


def test_what_limits_remember_goes_once_events_have_passed_it_for_long(tmp_path: Path) -> None:
    snapshot = snapshot_of(tmp_path, w="trigger: {events: '*'}\ndedupe: {}")
    rows = MemoryRows()
    one = story(rows=rows)
    told(one, snapshot, own(event(id="e1"), 0))
    one.end_epoch()
    (old,) = (key for key, _ in rows.items(Table.CAPS))
    told(one, snapshot, own(event(id="e2", time=NOON + 90 * DAY_MS + LATE_MS), 0))
    told(one, snapshot, own(event(id="e3", time=NOON), 0))  # a straggler sets no time back
    one.end_epoch()
    left = [key for key, _ in rows.items(Table.CAPS)]
    assert left
    assert old not in left


def test_events_without_an_id_are_told_apart_also_where_their_source_gives_ids(tmp_path: Path) -> None:
    webhook = snapshot_of(tmp_path, w="trigger: {events: '*'}").webhooks[0]
    kinds = [("1", None), ("1", "/de"), (None, "/de")]
    events = [event(id=id, id_scope=scope) for id, scope in kinds]
    events.append(replace(events[-1], origin=events[-1].origin._replace(offset=1)))
    assert len({message_name(webhook, one) for one in events}) == 4
