"""SDKs of servers, unmodified: an event is recorded once, its webhook has what the SDK told of the user."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from pipeline.receiver.server import Receiver
from tests.collect.sdks.clients import program
from tests.kit.collector import Collector
from tests.kit.programs.run import HOOKLINE, ended, started, until

SDKS = [
    ("py", "segment"),
    ("py", "rudder"),
    ("py", "posthog"),
    ("py", "posthog-v1"),
    ("py", "mixpanel"),
    ("py", "amplitude"),
    ("node", "segment"),
    ("node", "rudder"),
    ("node", "posthog"),
    ("node", "posthog-v1"),
    ("node", "jitsu"),
    ("node", "heap"),
    ("node", "mixpanel"),
    ("node", "amplitude"),
    ("node", "cloudevents"),
]
KEYS = {
    "server": "{key: wk_server}",
    "mixpanel": "{key: wk_mixpanel, protocols: [mixpanel]}",
    "amplitude": "{key: wk_amplitude, protocols: [amplitude]}",
    "jitsu": "{key: 'wk_jitsu:secret'}",
}
JOB = "network: {allow: [127.0.0.0/8]}\nepoch: 200ms\nshards: 2"
BODY = """
  body:
    user: "{{ event.user_id }}"
    n: "{{ event.properties.n }}"
    note: "{{ event.properties.note }}"
    plan: "{{ user.properties.plan }}"
"""


def key_of(sdk: str) -> str:
    return f"wk_{sdk}" if sdk in KEYS else "wk_server"


def sent(url: str, users: int, events: int) -> dict[tuple[str, str], dict[str, Any]]:
    """Let all SDKs send, two at a time; return what each reported, or what it died of."""

    def one(sdk: tuple[str, str]) -> dict[str, Any]:
        language, name = sdk
        try:
            words = (name, url, key_of(name), f"{language}.{name}.", users, events)
            reported: dict[str, Any] = program(language, "servers", *words, secs=60 + events / 4)
        except AssertionError as error:
            return {"failed": [str(error)]}
        return reported

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(SDKS, pool.map(one, SDKS), strict=True))


class Told:
    """What the SDKs reported, the recording kept, and the job sent."""

    def __init__(self, collector: Collector, receiver: Receiver, users: int, events: int) -> None:
        self.users, self.events = users, events
        self.reported = sent(collector.url, users, events)
        self.lines = collector.lines()
        self.bodies: list[dict[str, Any]] = []
        # What never comes is told of the SDK that misses it.
        wanted = len(SDKS) * events

        def all_came() -> bool:
            self.bodies = [json.loads(one.body) for one in receiver.requests]
            return len(self.bodies) >= wanted

        try:
            until(all_came, secs=20 + events / 10)
        except AssertionError:
            pass  # each SDK's test says what is missing


def told(folder: Any, users: int, events: int) -> Iterator[Told]:
    """Run collector, job and all SDKs, and give what came of it."""
    with Receiver() as receiver:
        collector = Collector(folder, keys=KEYS, job=JOB)
        collector.write()
        webhooks = collector.config / "webhooks"
        webhooks.mkdir()
        (webhooks / "w.yaml").write_text(
            f"id: w\ntrigger: {{events: [Purchase]}}\nrequest:\n  url: {receiver.url('/w')}{BODY}"
        )
        with collector, started(HOOKLINE, "run", "-c", collector.config, "--state", folder / "state") as job:
            yield Told(collector, receiver, users, events)
            collector.stop()
            job.terminate()
            ended(job)


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    yield from told(tmp_path_factory.mktemp("sdks"), users=4, events=20)


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    yield from told(tmp_path_factory.mktemp("sdks"), users=100, events=1_000)


def check(told: Told, language: str, name: str) -> None:
    """Check one SDK: it gave nothing up; its events were recorded once and sent with the plan."""
    prefix = f"{language}.{name}."
    assert told.reported[language, name] == {"failed": []}
    recorded = [line for line in told.lines if (line["key"] or "").startswith(prefix)]
    numbers = Counter(number for line in recorded for number in numbered(line["value"]))
    assert numbers == Counter(range(told.events))
    bodies = [body for body in told.bodies if body["user"].startswith(prefix)]
    assert sorted(int(body["n"]) for body in bodies) == list(range(told.events))
    assert {body["note"] for body in bodies} == {"Grüße, «7»"}
    if name != "cloudevents":  # it knows no users
        plans = {body["user"]: body["plan"] for body in bodies}
        assert plans == {f"{prefix}{n}": "pro" if n % 2 else "free" for n in range(told.users)}


def numbered(value: Any) -> Iterator[int]:
    """Give the number of an event in its recorded bytes, wherever this SDK puts properties."""
    if isinstance(value, dict):
        if isinstance(value.get("n"), int):
            yield value["n"]
        for inner in value.values():
            yield from numbered(inner)


@pytest.mark.parametrize(("language", "name"), SDKS)
def test_each_event_of_an_sdk_is_recorded_once_and_fires_with_what_is_known_of_the_user(
    short: Told, language: str, name: str
):
    check(short, language, name)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("language", "name"), SDKS)
def test_a_thousand_events_of_each_sdk(long: Told, language: str, name: str):
    check(long, language, name)
