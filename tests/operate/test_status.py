"""The lanes of a job of several processes, as one."""

from __future__ import annotations

from dataclasses import asdict, fields

from pipeline.deliver.stats import ADDED, LaneStats
from pipeline.operate.status import together


def lane(**changes: object) -> dict[str, object]:
    stats = LaneStats("w", "active", "well", 1.0, 1, 2, 3, 4, 5, 6, 7, 8, 1.5, 2.5, 0, "")
    return {**asdict(stats), **changes}


def test_counts_of_all_processes_add_up():
    found = together([lane(), lane(queued=10)])
    counts = ("queued", "in_flight", "waiting", "on_disk", "limit", "delivered", "retried", "dead")
    assert [found[name] for name in counts] == [11, 4, 6, 8, 10, 12, 14, 16]
    assert list(found) == [one.name for one in fields(LaneStats)]


def test_the_process_that_has_something_to_say_says_it():
    troubled = lane(receiver="down", status=503, error="busy", p99_ms=40.0)
    for lanes in ([lane(), troubled], [troubled, lane(p99_ms=0.0)]):
        found = together(lanes)
        assert (found["receiver"], found["status"], found["error"]) == ("down", 503, "busy")
        assert found["p99_ms"] == 40.0
    assert together([lane()]) == lane()


def test_every_number_of_a_lane_is_added_or_is_known_to_be_none_that_can():
    numbers = {one.name for one in fields(LaneStats) if one.type == "int" and one.metadata != ADDED}
    assert numbers == {"status"}
