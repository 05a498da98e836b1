"""How many requests may be in flight."""

from __future__ import annotations

import resource

import pytest

from pipeline.deliver.http.by_aiohttp.client import AiohttpClient
from pipeline.deliver.http.choose import (
    MAX_FLYING,
    OWN_DESCRIPTORS,
    STORE_DESCRIPTORS,
    Clients,
    connection_limit,
    most_open,
)
from pipeline.deliver.http.resolve import Resolver
from pipeline.deliver.http.tls import Contexts
from pipeline.deliver.http.trust import Trust
from pipeline.model.errors import Fatal
from tests.kit.delivery.sending import Sending, with_a_client


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


@pytest.mark.parametrize(
    ("may_open", "flying", "most"), [(130, 25, 25), (1024, 300, 300), (65_536, 2048, 8192)]
)
def test_many_lanes_that_hang_hold_up_no_other_where_there_are_descriptors(
    monkeypatch: pytest.MonkeyPatch, may_open: int, flying: int, most: int
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda what: (may_open, may_open))
    assert most_open(flying) == most


def test_each_client_is_told_how_many_connections_it_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda what: (130, 130))

    async def act(sending: Sending) -> None:
        resolver, contexts = Resolver(), Contexts()
        clients = Clients(lambda attempt: None, resolver, contexts, Trust(lambda: 0.0), 25)
        native, aiohttp = clients.native, clients["aiohttp"]
        assert (native._max, native._most) == (50, 50)
        assert isinstance(aiohttp, AiohttpClient)
        assert (aiohttp._pools._most, aiohttp._most) == (25, 25)
        for client in (native, aiohttp):
            await client.close()

    with_a_client(act, "native")
