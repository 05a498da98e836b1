"""Which client sends a request, and how many connections there may be."""

from __future__ import annotations

import resource
from collections.abc import Callable

from pipeline.deliver.http.attempt import Attempt, Client
from pipeline.deliver.http.native_client import NativeClient
from pipeline.deliver.http.resolve import Resolver
from pipeline.deliver.http.tls import Contexts
from pipeline.deliver.http.trust import Trust
from pipeline.model.errors import Fatal

MAX_FLYING = 2048
LEAST_FLYING = 16
MOST_DESCRIPTORS = 65_536
STORE_DESCRIPTORS = 5
"""Per store: its file (twice), LMDB's lock, ours, a journal."""
OWN_DESCRIPTORS = 45
"""For everything else: standard streams, recovery, source, sockets, pipes."""


def connection_limit(stores: int = 0) -> int:
    """Return how many requests may be in flight: a third of the descriptors that this process can spare.

    stores: how many stores it may have open. Raises the soft limit to the hard one first, as the Go and Java
    runtimes do; Fatal where not even the stores could be opened.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MOST_DESCRIPTORS)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    own = OWN_DESCRIPTORS + STORE_DESCRIPTORS * stores
    if soft < own:
        raise Fatal(
            f"this process may open {soft} files, and a job with {stores} stores (`shards`, and one for each "
            f"partition) needs some {own + 3 * LEAST_FLYING}: raise `ulimit -n`"
        )
    return max(LEAST_FLYING, min(MAX_FLYING, (soft - own) // 3))


def most_open(max_flying: int) -> int:
    """Return how many connections a client may have open in any case, if each of many lanes has one.

    max_flying: the result of `connection_limit`; more only where that is far below what may be open.
    """
    return max(max_flying, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 8)


class Clients(dict[str, Client]):
    """The clients by name; the aiohttp one is created when a webhook first needs it (its import is slow).

    max_flying: requests in flight in total.
    """

    def __init__(
        self,
        finished: Callable[[Attempt], None],
        resolver: Resolver,
        contexts: Contexts,
        trust: Trust,
        max_flying: int,
    ) -> None:
        # Idle connections count as well, hence twice as many.
        self.native = NativeClient(
            finished,
            resolver,
            contexts,
            max_connections=2 * max_flying,
            most_open=2 * most_open(max_flying),
            trust=trust,
        )
        super().__init__(native=self.native)
        self._make = (finished, resolver, contexts)
        self._trust = trust
        self._max_flying = max_flying

    def __missing__(self, name: str) -> Client:
        from pipeline.deliver.http.by_aiohttp.client import AiohttpClient

        client = self[name] = AiohttpClient(
            *self._make,
            max_connections=self._max_flying,
            most_open=most_open(self._max_flying),
            trust=self._trust,
        )
        return client
