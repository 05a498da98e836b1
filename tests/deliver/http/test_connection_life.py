"""A connection does not live for ever, so that a name's new address is followed; no request is cut."""

from __future__ import annotations

import pytest

from pipeline.deliver.http.attempt import LIFE_SECS
from pipeline.receiver.server import Receiver
from tests.kit.delivery.sending import Sending, in_a_loop


@pytest.mark.parametrize("name", ["native", "aiohttp"])
def test_an_old_connection_is_replaced_and_never_in_the_middle_of_a_request(
    name: str, receiver: Receiver
) -> None:
    now = 1000.0

    async def main() -> None:
        nonlocal now
        sending = Sending(name, clock=lambda: now)
        for _ in range(20):
            assert (await sending.send(receiver.url())).status == 200
        assert receiver.accepted == 1
        now += 0.7 * LIFE_SECS
        assert (await sending.send(receiver.url())).status == 200
        assert receiver.accepted == 1
        now += LIFE_SECS  # it is too old, but a request that finds it goes through
        assert (await sending.send(receiver.url())).status == 200
        for _ in range(3):
            assert (await sending.send(receiver.url())).status == 200
        assert receiver.accepted == 2
        await sending.client.close()

    in_a_loop(main())
