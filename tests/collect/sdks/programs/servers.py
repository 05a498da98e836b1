"""Sends through one SDK of PyPI as its documentation shows: servers.py NAME URL KEY PREFIX USERS EVENTS

Each of so many users is identified with its plan, then so many events go out, in turn of the users. The last
line on stdout says what the SDK reported: how often it gave up, and why.

This file is run by an interpreter that has the SDKs (parts.py); it imports nothing of the project.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator

FAILED: list[str] = []
PREFIX = "u"


def failed(error: object, *_: object) -> None:
    """What an SDK calls when it gives a batch up."""
    FAILED.append(str(error))


def people(users: int) -> Iterator[tuple[str, dict[str, object]]]:
    """Give the users and what is known of each."""
    for n in range(users):
        yield f"{PREFIX}{n}", {"plan": "pro" if n % 2 else "free", "seat": n}


def happenings(users: int, events: int) -> Iterator[tuple[str, dict[str, object]]]:
    """Give who does something, and its properties."""
    for n in range(events):
        yield f"{PREFIX}{n % users}", {"n": n, "amount": 250 + n, "note": "Grüße, «7»"}


def segment(url: str, key: str, users: int, events: int, pause: float = 0) -> None:
    from segment.analytics import Client, consumer

    post = consumer.post

    def seen(*args: object, **more: object) -> object:
        answer = post(*args, **more)
        # An answer that raises nothing is what this SDK takes for success.
        print(json.dumps({"acked": [one["messageId"] for one in more["batch"]]}), flush=True)  # type: ignore[attr-defined]  # a list
        return answer

    consumer.post = seen
    # Of more than 10,000 that wait it would throw away the newest, without a word.
    client = Client(key, host=url, gzip=True, on_error=failed, upload_interval=0.02, max_queue_size=100_000)
    for user, traits in people(users):
        client.identify(user, traits)
    for user, properties in happenings(users, events):
        client.track(user, "Purchase", properties)
        time.sleep(pause)
    client.flush()
    client.shutdown()


def segment_paced(url: str, key: str, users: int, events: int) -> None:
    """Send small batches for seconds: in a second some forty requests."""
    segment(url, key, users, events, pause=0.004)


def rudder(url: str, key: str, users: int, events: int) -> None:
    import rudderstack.analytics as client

    client.write_key, client.dataPlaneUrl, client.on_error = key, url, failed
    for user, traits in people(users):
        client.identify(user, traits)
    for user, properties in happenings(users, events):
        client.track(user, "Purchase", properties)
    client.flush()
    client.shutdown()


def posthog(url: str, key: str, users: int, events: int, **more: object) -> None:
    from posthog import Posthog

    client = Posthog(key, host=url, gzip=True, on_error=failed, flush_interval=0.1, **more)
    for user, traits in people(users):
        client.set(distinct_id=user, properties=traits)
    for user, properties in happenings(users, events):
        client.capture("Purchase", distinct_id=user, properties=properties)
    client.shutdown()


def posthog_v1(url: str, key: str, users: int, events: int) -> None:
    posthog(url, key, users, events, capture_mode="v1", capture_compression="deflate")


def mixpanel(url: str, key: str, users: int, events: int) -> None:
    from mixpanel import BufferedConsumer, Mixpanel

    places = {"events_url": f"{url}/track", "people_url": f"{url}/engage", "groups_url": f"{url}/groups"}
    consumer = BufferedConsumer(max_size=20, **places)
    client = Mixpanel(key, consumer=consumer)
    for user, traits in people(users):
        client.people_set(user, traits)
    consumer.flush()
    for user, properties in happenings(users, events):
        client.track(user, "Purchase", properties)
    consumer.flush()


def amplitude(url: str, key: str, users: int, events: int) -> None:
    from amplitude import Amplitude, BaseEvent, EventOptions, Identify

    client = Amplitude(key)
    client.configuration.server_url = f"{url}/2/httpapi"
    client.configuration.flush_interval_millis = 100
    client.configuration.min_id_length = 1
    answered = threading.Semaphore(0)

    def answer(event: object, code: int, said: str) -> None:
        if code != 200:
            failed(said)
        answered.release()

    client.configuration.callback = answer
    for user, traits in people(users):
        about = Identify()
        for name, value in traits.items():
            about.set(name, value)
        client.identify(about, EventOptions(user_id=user))
    client.flush()
    for _ in range(users):  # it sends from several threads: events could come before
        answered.acquire(timeout=20)
    for user, properties in happenings(users, events):
        client.track(BaseEvent(event_type="Purchase", user_id=user, event_properties=properties))
    for flushed in client.flush() or ():
        if flushed is not None:
            flushed.result(20)
    client.shutdown()


SDKS: dict[str, Callable[[str, str, int, int], None]] = {
    "segment": segment,
    "segment-paced": segment_paced,
    "rudder": rudder,
    "posthog": posthog,
    "posthog-v1": posthog_v1,
    "mixpanel": mixpanel,
    "amplitude": amplitude,
}

if __name__ == "__main__":
    name, url, key, PREFIX, users, events = sys.argv[1:]
    SDKS[name](url, key, int(users), int(events))
    print(json.dumps({"failed": FAILED}), flush=True)
