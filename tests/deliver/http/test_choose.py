"""How many requests may be in flight."""

from __future__ import annotations

import resource

import pytest

from pipeline.deliver.http.choose import MAX_FLYING, OWN_DESCRIPTORS, connection_limit


@pytest.mark.parametrize(("soft", "hard"), [(124, 124), (256, 256), (256, 1024), (1024, 4096)])
def test_connections_leave_room_for_stores_and_journals(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int
) -> None:
    raised: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda kind, limits: raised.append(limits))
    most = connection_limit()
    assert raised == ([(hard, hard)] if soft < hard else [])
    # Idle connections are kept, too: twice as many are open.
    assert 16 <= most <= MAX_FLYING
    assert 2 * most + OWN_DESCRIPTORS <= hard
