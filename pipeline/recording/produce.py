"""``hookline produce``: loads a recording into topics, so that reading them yields what the file yields.

Messages are keyed by user (the anonymous id where there is none), updates go to the topic of users, and their
times increase in the order of the lines, so that the join's merge by time restores the recording's order.
Lines are unchanged. Only an envelope of several users that `auto` reads becomes one native message each:
`auto` reads those as well, while a topic of a named shape cannot contain native messages.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pipeline.decode.decode import decode
from pipeline.decode.shape import Shape
from pipeline.model.records import Event, IdentityLink, Invalid, Origin, PropertyUpdate, Record
from pipeline.recording.native_lines import native_line
from pipeline.recording.record import messages
from pipeline.recording.topic_writer import TopicWriter
from pipeline.sources.chunk import CHUNK_LINES
from pipeline.sources.files.lines.recorded import Message
from pipeline.sources.reader import Reader

Times = Literal["now", "keep"]

TOPIC_CONFIG = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
"""For created topics: a recording may be older than a broker's usual week, and updates are deltas."""


@dataclass(slots=True)
class Produced:
    """What was written."""

    messages: dict[str, int] = field(default_factory=dict)
    """Per topic."""
    invalid: int = 0
    """Unreadable lines; they go unchanged to the topic of events."""
    created: list[str] = field(default_factory=list)
    """Topics that did not exist before."""


def produce(
    reader: Reader,
    brokers: str,
    *,
    events: str = "events",
    users: str | None = "user-properties",
    partitions: int = 4,
    format: Shape | None = None,
    times: Times = "now",
    settings: Mapping[str, Any] | None = None,
    stopping: Callable[[], bool] = lambda: False,
    progress: Callable[[Produced], None] = lambda produced: None,
) -> Produced:
    """Write everything the reader has into topics, created with ``partitions`` where they are missing.

    users: None puts everything into one topic. format: which shape reads the lines, so that their user, kind
    and time are known; None: `auto`. times: ``keep`` writes the records' times, made increasing (where topics
    have a retention time, brokers delete old ones at once); ``now`` the present. settings are passed to
    librdkafka. Returns when everything is acknowledged. Raises ConfigError and Fatal.
    """
    produced = Produced()
    writer = TopicWriter(brokers, settings)
    produced.created = writer.ensure([events, *([users] if users else [])], partitions, TOPIC_CONFIG)
    if users and users not in produced.created:
        writer.warn_of_limits(users)
    order = Order()
    try:
        while not reader.done and not stopping():
            chunk = reader.read(CHUNK_LINES)
            if chunk is None:
                time.sleep(0.005)
                continue
            faults = chunk.faults or {}
            for index, message in enumerate(messages(chunk)):
                for part in _parts(message, format, is_fault=index in faults):
                    topic = users if users and part.is_update else events
                    stamp = time.time_ns() // 1_000_000 if times == "now" else part.time
                    writer.send(
                        topic,
                        part.value,
                        key=part.key,
                        time_ms=order.after(stamp, is_update=part.is_update),
                        headers=part.headers,
                    )
                    produced.messages[topic] = produced.messages.get(topic, 0) + 1
                    produced.invalid += part.is_invalid
            progress(produced)
        writer.flush()
    finally:
        reader.close()
    return produced


class Order:
    """Assigns times that keep the order of the lines when two topics are merged by time.

    They never decrease, and an update never has the time of an event before it: at equal times it would win.
    """

    def __init__(self) -> None:
        self._latest = 1  # Kafka takes 0 for "now"
        self._after_event = False

    def after(self, time_ms: int | None, *, is_update: bool) -> int:
        """Return the time to write for the next line, given its own."""
        latest = self._latest + 1 if is_update and self._after_event else self._latest
        if time_ms is not None and time_ms > latest:
            latest = time_ms
        self._after_event = not is_update
        self._latest = latest
        return latest


@dataclass(slots=True)
class Part:
    """One message to write."""

    value: bytes | None
    key: bytes | None
    headers: Any
    time: int | None
    is_update: bool
    is_invalid: bool = False


def _parts(message: Message, format: Shape | None, *, is_fault: bool) -> list[Part]:
    """Return a line as messages of one user each: a ``batch[]`` of several users is split.

    Lines of a named shape stay whole: one with several users gets the first one's key.
    """
    value, key, headers = message.value, message.key, message.headers
    records: list[Record] = []
    if not is_fault:
        origin = Origin(message.source, message.offset)
        records = decode(
            value,
            format="auto" if format is None else format,
            origin=origin,
            received_at=message.time,
            headers=headers,
            key=key,
        )
    good = [record for record in records if not isinstance(record, Invalid)]
    if not good:
        # What its shape ignores (`ignore`) is still a record.
        return [Part(value, key, headers, message.time, False, is_fault or bool(records) or format is None)]
    if format is not None:
        is_update = not any(isinstance(record, Event) for record in good)
        return [Part(value, key or _key(good[0]), headers, _time(good[0], message), is_update)]
    keys = {_key(record) for record in good}
    kinds = {isinstance(record, Event) for record in good}
    if len(good) == len(records) and (key is not None or len(keys) == 1) and len(kinds) == 1:
        return [Part(value, key or keys.pop(), headers, _time(good[0], message), not kinds.pop())]
    parts = []
    for record in records:
        if isinstance(record, Invalid):
            parts.append(Part(record.raw, None, None, message.time, False, True))
        else:
            at, is_update = _time(record, message), not isinstance(record, Event)
            parts.append(Part(native_line(record), _key(record), None, at, is_update))
    return parts


def _key(record: Event | PropertyUpdate | IdentityLink) -> bytes:
    return (record.user_id or record.anonymous_id or "").encode("utf-8", "surrogatepass")


def _time(record: Event | PropertyUpdate | IdentityLink, message: Message) -> int | None:
    """Return the broker's time of a recorded message, else the record's own."""
    return record.time if message.time is None else message.time
