"""How many requests may be in flight."""

from __future__ import annotations

import resource

import pytest

from pipeline.deliver.http.choose import MAX_FLYING, OWN_DESCRIPTORS, STORE_DESCRIPTORS, connection_limit
from pipeline.model.errors import Fatal


@pytest.mark.parametrize(
    ("soft", "hard", "stores"),
    [(124, 124, 9), (256, 256, 9), (256, 1024, 9), (1024, 4096, 9), (1024, 1024, 129)],
)
def test_connections_leave_room_for_stores_and_journals(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, stores: int
) -> None:
    raised: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda kind, limits: raised.append(limits))
    most = connection_limit(stores)
    assert raised == ([(hard, hard)] if soft < hard else [])
    # Idle connections are kept, too: twice as many are open.
    assert 16 <= most <= MAX_FLYING
    assert 2 * most + OWN_DESCRIPTORS + STORE_DESCRIPTORS * stores <= hard


def test_where_not_even_the_stores_can_be_opened_nothing_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (256, 256))
    with pytest.raises(Fatal, match=r"may open 256 files, and a job with 65 stores .*raise `ulimit -n`"):
        connection_limit(65)
