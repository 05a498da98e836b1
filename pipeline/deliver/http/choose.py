"""Which client sends what, and how many connections there may be."""

from __future__ import annotations

import resource
from collections.abc import Callable

from pipeline.deliver.http.attempt import Attempt, Client
from pipeline.deliver.http.resolve import Resolver
from pipeline.deliver.http.tls import Contexts

MAX_FLYING = 2048
MOST_DESCRIPTORS = 65_536


def connection_limit() -> int:
    """Return how many requests may be in flight: a third of the descriptors that this process may open.

    Raises the soft limit to the hard one first, as the Go and Java runtimes do.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MOST_DESCRIPTORS)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    return max(16, min(MAX_FLYING, soft // 3))


class Clients(dict[str, Client]):
    """The clients by name; the aiohttp one is made when a webhook first needs it (its import is slow)."""

    def __init__(
        self, native: Client, finished: Callable[[Attempt], None], resolver: Resolver, contexts: Contexts
    ) -> None:
        super().__init__(native=native)
        self._make = (finished, resolver, contexts)

    def __missing__(self, name: str) -> Client:
        from pipeline.deliver.http.aiohttp_client import AiohttpClient

        client = self[name] = AiohttpClient(*self._make)
        return client
