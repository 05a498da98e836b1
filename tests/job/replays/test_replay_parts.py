"""Which events a replay fires, and where its requests go: without a job."""

from __future__ import annotations

import pytest

from pipeline.job.replay import Replay
from pipeline.model.errors import UsageError
from pipeline.model.records import Event
from tests.kit.streams import records


def event(time: int | None, user_id: str | None = "u1") -> Event:
    return records.event(user_id=user_id, anonymous_id="a1", time=time)


@pytest.mark.parametrize(
    ("since", "until", "time", "fires"),
    [
        (None, None, 5, True),
        (None, None, None, True),
        (5, None, 5, True),
        (6, None, 5, False),
        (None, 5, 5, False),
        (None, 6, 5, True),
        (1, 9, None, False),
    ],
)
def test_the_window_holds_its_first_and_not_its_last_moment(
    since: int | None, until: int | None, time: int | None, fires: bool
):
    assert Replay(since_ms=since, until_ms=until).wants(event(time)) is fires


def test_a_user_is_meant_by_the_id_that_the_join_found():
    assert Replay(user_id="u1").wants(event(1, "u1"))
    assert not Replay(user_id="u1").wants(event(1, None))
    assert not Replay(user_id="a2").wants(event(1, "u1"))


def test_a_replay_of_an_anonymous_id_finds_its_events_before_and_after_it_is_linked() -> None:
    assert Replay(user_id="a1").wants(event(1, None))
    assert Replay(user_id="a1").wants(event(1, "u1"))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://crm.example/a/b?c=1", "http://127.0.0.1:9/a/b?c=1"),
        ("https://crm.example", "http://127.0.0.1:9/"),
        ("https://crm.example?x=/y", "http://127.0.0.1:9?x=/y"),
        ("https://crm.example:8443/", "http://127.0.0.1:9/"),
    ],
)
@pytest.mark.parametrize("to", ["http://127.0.0.1:9", "http://127.0.0.1:9/"])
def test_only_the_origin_of_a_url_is_replaced(url: str, expected: str, to: str):
    assert Replay(to=to).redirect(url) == expected


@pytest.mark.parametrize("to", ["ftp://x", "127.0.0.1:9", "http://", "http://x/path"])
def test_a_target_with_a_path_or_without_a_host_is_refused(to: str):
    with pytest.raises(UsageError, match="is no origin"):
        Replay(to=to)
