"""One record read, for the tests of this room."""

from __future__ import annotations

from typing import Any

import orjson

from pipeline.decode.decode import decode
from pipeline.decode.raw.fields import Place
from pipeline.model.records import Invalid, Origin, Record

HERE = Origin("a.jsonl", 7)
PLACE = Place(HERE)
NOON = 1_795_435_200_000  # 2026-11-23T12:00:00Z


def read(record: Any, **given: Any) -> list[Record]:
    return decode(orjson.dumps(record), origin=HERE, **given)


def one(record: Any, **given: Any) -> Any:
    records = read(record, **given)
    assert len(records) == 1, records
    return records[0]


def reason(record: Any, **given: Any) -> str:
    found = one(record, **given)
    assert type(found) is Invalid, found
    assert found.origin == HERE
    return found.reason
