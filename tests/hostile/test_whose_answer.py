"""No answer is taken for another's where it can be told; where it cannot, the origin is distrusted.

The short form is a few thousand requests to an unruly receiver; `make answers` is the long one.
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field

import pytest

from pipeline.deliver.http.attempt import Attempt
from tests.kit.delivery.sending import Sending, in_a_loop
from tests.kit.receivers.unruly import MOODS, ON_ACCEPT, Unruly

ROUND = 40
"""Origins that one client sends to, each in its mood."""
EACH = 16
"""Requests to one origin, four under way."""
CLIENTS = ["native", "aiohttp", "proxy"]
"""The last: aiohttp through a proxy, which is what is unruly."""


@dataclass
class Tally:
    """What came of the requests."""

    sent: int = 0
    answered: int = 0
    others: list[tuple[bytes, float, bool, str]] = field(default_factory=list)
    """What was marked by another answer than its own: with which, when it was made, and whether after the
    first sign of an origin that does not speak first."""
    by_another: int = 0
    """Those that came when the request was under way."""
    told: list[str] = field(default_factory=list)
    """Those that stood there before the request was made: these must not be."""
    later: list[str] = field(default_factory=list)
    """Those after the first sign: neither."""
    distrusted: set[str] = field(default_factory=set)
    """Moods."""


async def ask(
    sending: Sending, unruly: Unruly, url: str, mood: str, name: str, tally: Tally, proxy: str | None
) -> None:
    body = b"x" * 400_000 if mood == "early" else b"{}"
    trust, wire = sending.client.trust, b"webhook-id: %b\r\n" % name.encode()  # type: ignore[attr-defined]  # both have it
    doubted = bool(trust.doubted) and any(f"//{origin.host}:" in url for origin in trust.doubted)
    if unruly.luck() < 0.4:
        time.sleep(0.0015)  # the loop is busy: what comes now stands there, unread
    begin = time.monotonic()
    attempt: Attempt = await sending.send(
        url,
        body=body,
        extra=wire,
        webhook="w",
        timeout_secs=0.04 if mood == "late" else 5.0,
        proxy=proxy,
    )
    tally.sent += 1
    if attempt.fault is not None:
        return
    tally.answered += 1
    if attempt.answer != name.encode() and mood != "early":
        tally.others.append((attempt.answer, begin, doubted and mood not in ON_ACCEPT, f"{mood}: {name}"))


async def round_of(client: str, unruly: Unruly, luck: random.Random, number: int, tally: Tally) -> None:
    """Send to so many origins, all at once."""
    sending = Sending("native" if client == "native" else "aiohttp")
    moods = {unruly.origin(mood): mood for mood in (luck.choice(list(MOODS)) for _ in range(ROUND))}

    async def line(url: str, mood: str, ids: list[str]) -> None:
        for name in ids:
            await ask(sending, unruly, url, mood, name, tally, url if client == "proxy" else None)
            if luck.random() < 0.3:
                await asyncio.sleep(luck.random() * 0.01)

    lines = [
        line(url, mood, [f"{number}-{n}-{k}-{i}" for i in range(EACH // 4)])
        for n, (url, mood) in enumerate(moods.items())
        for k in range(4)
    ]
    await asyncio.gather(*lines)
    trust = sending.client.trust  # type: ignore[attr-defined]  # both clients have it
    tally.distrusted |= {
        mood for url, mood in moods.items() if any(f"//{o.host}:" in url for o in trust.doubted)
    }
    await sending.client.close()


def run(client: str, requests: int, seed: int) -> Tally:
    luck, tally = random.Random(seed), Tally()
    with Unruly(luck.random) as unruly:
        for number in range(max(1, requests // (ROUND * EACH))):
            in_a_loop(round_of(client, unruly, luck, number, tally))
    for body, begin, doubted, which in tally.others:
        said = unruly.said.get(body)
        if said is None:
            continue  # not another's: a half of its own
        tally.by_another += 1
        if said < begin:
            tally.told.append(f"{which} got {body!r}")
        if doubted:
            tally.later.append(f"{which} got {body!r}")
    return tally


def judge(tally: Tally) -> None:
    assert not tally.told
    assert not tally.later
    assert tally.answered > tally.sent // 2
    assert "plain" not in tally.distrusted
    assert "late" not in tally.distrusted


@pytest.mark.parametrize("client", CLIENTS)
def test_no_answer_that_can_be_told_is_taken_for_anothers(client: str) -> None:
    judge(run(client, 1300, 7))


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("client", CLIENTS)
def test_nor_among_a_hundred_thousand(client: str) -> None:
    tally = run(client, 100_000, 8)
    print(tally)
    judge(tally)
