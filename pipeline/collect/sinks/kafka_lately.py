"""What a topic received recently: read at the start, so that repeats are recognised across restarts."""

from __future__ import annotations

import time
from binascii import unhexlify
from contextlib import closing
from typing import Final

from pipeline.collect.sinks.recording.line import SAME
from pipeline.kafka.client import KafkaSettings
from pipeline.model.errors import ConfigError, Fatal
from pipeline.sources.topics.latest import fetch, partitions_of, source_of
from pipeline.telemetry import log as logging

log = logging.get(__name__)

READ_SECS: Final = 10.0
"""So long a start may read; some 100,000 messages a second come."""
_UNKNOWN: Final = "repeats of what came before the start are kept once more"


def lately(settings: KafkaSettings, topic: str, since_ms: int, most: int) -> list[tuple[int, bytes]]:
    """Return time and digest of the messages since then, at most so many, the oldest first.

    What cannot be read (no READ on the topic, brokers that are slow) is warned about: a collector starts
    without it.
    """
    found: list[tuple[int, bytes]] = []
    until = time.monotonic() + READ_SECS
    try:
        source = source_of(settings, topic)
        count = partitions_of(source)
        places: dict[int, int] = {}
        for number in range(count):
            end = source.admin.find(topic, number, "log_end")
            start = max(source.admin.find(topic, number, since_ms), end - max(1, most // count))
            if start < end:
                places[number] = start
        with closing(fetch(source, topic, places)) as messages:
            for message in messages:
                for name, value in message.headers or ():
                    if name == SAME and value is not None:
                        found.append((message.time or 0, unhexlify(value)))
                if time.monotonic() > until:
                    log.warning(_UNKNOWN, topic=topic, reason=f"more than {READ_SECS:g} s to read")
                    break
    except (ConfigError, Fatal, ValueError) as error:
        log.warning(_UNKNOWN, topic=topic, reason=str(error))
    return sorted(found)[-most:]
