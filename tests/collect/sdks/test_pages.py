"""The SDKs of pages in a real browser, from another origin: what a shop pastes works, nothing turns red."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlencode

from pipeline.receiver.server import Receiver
from tests.collect.sdks import parts
from tests.collect.sdks.clients import had, program
from tests.collect.sdks.site import site
from tests.kit.collector import Collector
from tests.kit.programs.run import HOOKLINE, started, until

KEYS = {
    "web": ("wk_live_0123456789abcdef", "[segment, posthog]"),
    "mixpanel": ("wk_mixpanel_0123456789abcdef", "[mixpanel]"),
    "amplitude": ("wk_amplitude_0123456789abcdef", "[amplitude]"),
}
JOB = "network: {allow: [127.0.0.0/8]}\nepoch: 200ms\nshards: 2"
BUY_CLICKED = """
name: Buy Clicked
capture: {kind: click, selector: "form.cart button#buy.cta"}
"""
BODY = (
    '\n  body: {user: "{{ event.user_id }}", event: "{{ event.name }}", plan: "{{ user.properties.plan }}"}\n'
)
VISITORS = {
    "p1": {"sdk": "posthog"},
    "s1": {"sdk": "segment"},
    "b1": {"sdk": "segment", "batching": "1"},
    "m1": {"sdk": "mixpanel"},
    "amp-1": {"sdk": "amplitude"},  # with fewer than five characters it gives up
}


def test_a_click_on_a_page_fires_with_what_an_unmodified_sdk_said_of_the_user(
    tmp_path: Path,
):
    with site(had(parts.node_modules)) as origin, Receiver() as receiver:
        keys = {
            name: f'{{key: {key}, origins: ["{origin}"], protocols: {protocols}}}'
            for name, (key, protocols) in KEYS.items()
        }
        # Requests of a page race: on a machine that is busy for longer than those 50 ms.
        collector = Collector(tmp_path, keys=keys, job=JOB, more="  order: 500ms")
        collector.write()
        for room, name, text in (
            ("labels", "buy-clicked", BUY_CLICKED),
            ("webhooks", "clicked", f"id: clicked\ntrigger: {{events: [Buy Clicked, Clicked]}}\nrequest:\n"
                f"  url: {receiver.url('/clicked')}{BODY}"),
            ("webhooks", "bought", f"id: bought\ntrigger: {{events: [Purchase]}}\nrequest:\n"
                f"  url: {receiver.url('/bought')}{BODY}"),
        ):  # fmt: skip
            (collector.config / room).mkdir(exist_ok=True)
            (collector.config / room / f"{name}.yaml").write_text(text)
        with collector, started(HOOKLINE, "run", "-c", collector.config, "--state", tmp_path / "state"):
            asked = []
            for user, more in VISITORS.items():
                key = KEYS.get(more["sdk"], KEYS["web"])[0]
                query = urlencode(more | {"key": key, "user": user, "collector": collector.url})
                asked.append(f"{origin}/?{query}")
            visits = program("node", "visit", had(parts.chromium), *asked)
            for visit in visits:
                assert (visit["errors"], visit["bad"]) == ([], []), visit
            until(lambda: len(receiver.requests) >= 10)
            lines = collector.lines()
    sent = sorted((one.path, *json.loads(one.body).values()) for one in receiver.requests)
    assert sent == [
        ("/bought", "amp-1", "Purchase", "pro"),
        ("/bought", "b1", "Purchase", "pro"),
        ("/bought", "m1", "Purchase", "pro"),
        ("/bought", "p1", "Purchase", "pro"),
        ("/bought", "s1", "Purchase", "pro"),
        ("/clicked", "amp-1", "Clicked", "pro"),
        ("/clicked", "b1", "Clicked", "pro"),
        ("/clicked", "m1", "Clicked", "pro"),
        ("/clicked", "p1", "$autocapture", "pro"),
        ("/clicked", "s1", "Clicked", "pro"),
    ]
    headers = [dict(line["headers"]) for line in lines]
    assert {one["hk-key"] for one in headers} == set(KEYS)
    assert {one["hk-protocol"] for one in headers} == {"segment", "posthog", "mixpanel", "amplitude"}
    # The page's address holds it, too.
    assert not any(key.encode() in line for key, _ in KEYS.values() for line in collector.raw_lines())
