"""What goes from one process of a job to another."""

from __future__ import annotations

import pickle

from pipeline.job.steps.chunks import Routed
from pipeline.model.records import Event, Invalid, Origin, PropertyUpdate

ORIGIN = Origin("events/0", 7, 0)
RECORDS = (
    Event("e1", "Purchase", "track", "u1", None, 5, 6, None, {"total": 1.5, "of": ["a"]}, {}, ORIGIN),
    PropertyUpdate(None, "u2", None, 5, 6, None, {"plan": None}, {}, ("old",), ORIGIN),
    Invalid(b"{", "no JSON", ORIGIN),
)


def test_a_chunk_arrives_as_it_left() -> None:
    items = [(f"u{number}", record, ((0,),)) for number, record in enumerate(RECORDS)]
    sent = Routed(3, "kafka-1", "hash", b"text", items, {"events/0": 7}, is_last=True)  # type: ignore[arg-type]  # stand-ins do
    arrived = pickle.loads(pickle.dumps(sent))
    assert arrived == sent
    assert arrived.items is not sent.items


class Counted:
    """Counts how often it is pickled."""

    times = 0

    def __reduce__(self) -> tuple[type[Counted], tuple[()]]:
        Counted.times += 1
        return Counted, ()


def test_its_records_are_pickled_once_however_often_it_is() -> None:
    sent = Routed(3, "kafka-1", "hash", items=[Counted()])  # type: ignore[list-item]  # stand-ins do
    assert pickle.dumps(sent) == pickle.dumps(sent)
    assert Counted.times == 1
