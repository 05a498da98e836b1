"""What real SDKs sent, read under the format of each."""

from __future__ import annotations

import base64
import json
import urllib.parse
from collections import Counter

from pipeline.decode.decode import decode
from pipeline.model.records import Event, IdentityLink, Invalid, Origin, PropertyUpdate, Record
from tests.kit.streams.samples import shared_data


def bodies(path: str) -> list[bytes]:
    """Return the bodies that were sent to a path; of forms what is in `data`."""
    found: list[bytes] = []
    for line in (shared_data() / "events/sdk-captures/requests.jsonl").read_text().splitlines():
        request = json.loads(line)
        address = urllib.parse.urlsplit(request["path"])
        if address.path != path:
            continue
        body = request["body"] or address.query
        if "data=" in body and not body.startswith("{"):
            data = urllib.parse.parse_qs(body)["data"][0]
            found.append(data.encode() if data.startswith(("{", "[")) else base64.b64decode(data))
        else:
            found.append(body.encode())
    assert found
    return found


def read(path: str, format: str) -> list[Record]:
    return [one for body in bodies(path) for one in decode(body, format=format, origin=Origin("s", 0))]


def test_amplitudes_library_sends_events_and_updates() -> None:
    event, update = read("/2/httpapi", "amplitude")
    assert type(event) is Event
    assert (event.name, event.user_id, event.properties) == ("Purchase", "user01", {"amount": 250})
    assert (event.time, event.source) == (1795866288210, "amplitude-python/1.3.0")
    assert type(update) is PropertyUpdate
    assert update.set == {"plan": "pro"}


def test_mixpanels_libraries_send_events() -> None:
    found = read("/track", "mixpanel")
    assert Counter(type(one) for one in found) == {Event: len(found)}
    assert {one.user_id for one in found if type(one) is Event} == {"u1"}
    first = found[0]
    assert type(first) is Event
    assert (first.id, first.time) == ("c99780f2ffc8470ebf6c84317d680a04", 1795866284493)


def test_the_calls_of_rudderstack_and_jitsu_are_segments() -> None:
    for path in ("/v1/batch", "/api/s/s2s/identify"):
        for format in ("segment", "auto"):
            found = read(path, format)
            assert not any(type(one) is Invalid for one in found), found
            assert all(one.time for one in found if type(one) is Event)
    assert [type(one) for one in read("/api/s/s2s/identify", "segment")] == [IdentityLink, PropertyUpdate]


def test_snowplows_tracker_protocol_is_no_enriched_event() -> None:
    for format in ("snowplow", "auto"):
        (dead,) = read("/com.snowplowanalytics.snowplow/tp2", format)
        assert type(dead) is Invalid
        assert "Snowplow" in dead.reason
