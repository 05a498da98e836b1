"""Happenings that are both logged and counted: declared once here, one call where they occur.

``CONFIG_RELOADED.happened(log, version="3f2a", webhooks=12)``

The remedy stands in the metric's row of the table.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any

from pipeline.telemetry.log import Log
from pipeline.telemetry.metrics import METRICS, MetricName, count, gauge

_silent_until: dict[str, float] = {}


@dataclass(slots=True, frozen=True)
class Happening:
    """A log line and a metric that move together."""

    level: Callable[..., None]
    text: str
    metric: MetricName
    labels: Mapping[str, str] = field(default_factory=dict)
    """Constant labels of the metric; without them, facts of the same name are the labels."""
    value: float = 1
    """The value the metric is set to or increased by."""
    once: bool = False
    """Logged only the first time in a process; the metric moves every time."""
    every_secs: float = 0.0
    """Logged at most this often in a process; the metric moves every time."""

    def happened(self, log: Log, value: float | None = None, /, **facts: Any) -> None:
        """Log it with its facts, and move the metric, by ``value`` where that varies."""
        row = METRICS[self.metric]
        labels = {name: self.labels.get(name) or facts[name] for name in row.labels}
        move = gauge if row.kind == "gauge" else count
        move(self.metric, self.value if value is None else value, **labels)
        now = time.monotonic()
        if now >= _silent_until.get(self.text, 0.0):
            self.level(log, self.text, **facts)
            if self.once or self.every_secs:
                _silent_until[self.text] = inf if self.once else now + self.every_secs


CONFIG_RELOADED = Happening(Log.info, "config reloaded", "config_reloads_total", {"result": "ok"})
CONFIG_REFUSED = Happening(
    Log.error, "config edit refused; the running version stays", "config_reloads_total", {"result": "broken"}
)
CONFIG_GOOD_AGAIN = Happening(Log.info, "config is good again", "config_problems", value=0)

BROKERS_UNREACHABLE = Happening(Log.warning, "Kafka is unreachable, trying again", "source_unreachable")
BROKERS_REFUSE = Happening(Log.warning, "Kafka refuses us, trying again", "source_unreachable")
BROKERS_BACK = Happening(Log.info, "Kafka is reachable again", "source_unreachable", value=0)
COMMIT_FAILED = Happening(
    Log.warning, "group offsets were not committed", "source_commit_failures_total", every_secs=600
)
TOPICS_UNEVEN = Happening(
    Log.warning, "topics are not co-partitioned: the as-of join is best effort", "source_uneven_topics"
)
HISTORY_LIMITED = Happening(
    Log.warning,
    "a topic of user updates does not keep its history: compaction or retention hides updates from events",
    "source_history_limited",
)
EVENTS_COMPACTED = Happening(
    Log.warning,
    "a topic of events is compacted: only the last event of each key is kept, and others may be gone unread",
    "source_history_limited",
)
PARTITIONS_ADDED = Happening(
    Log.warning,
    "a topic has new partitions: they are read from the next start on",
    "source_new_partitions_total",
)
RECORDED_TWICE = Happening(
    Log.warning,
    "a recording contains messages twice: the repeats are skipped",
    "source_twice_total",
    once=True,
)
FILES_UNORDERED = Happening(
    Log.warning,
    "files that are merged by time are not in order of time: the join takes each file's own order",
    "source_unordered_total",
    once=True,
)
FILE_TRUNCATED = Happening(
    Log.warning,
    "a followed file was truncated, and what was there at the last look had been read: it is read from its "
    "beginning",
    "source_truncated_total",
    {"unread": "none"},
)
FILE_LOST = Happening(
    Log.error,
    "a followed file was truncated, or rotated away and deleted, and no copy of it lies beside it: what was "
    "not read of it is lost, and what came after it is read",
    "source_truncated_total",
    {"unread": "some"},
)
PLACE_LOST = Happening(Log.error, "the position in a topic was lost", "source_skipped_total")
SCHEMA_HELD = Happening(
    Log.error,
    "schemas cannot be fetched: records that need them wait, with everything behind them in their partition",
    "source_schemas_missing",
)
SCHEMA_THERE = Happening(Log.info, "the missing schemas were fetched", "source_schemas_missing")
SCHEMA_FETCHED = Happening(Log.info, "schema fetched", "source_schemas_total", {"result": "ok"})
SCHEMA_UNKNOWN = Happening(
    Log.warning,
    "the registry does not have a schema: records that need it become dead letters",
    "source_schemas_total",
    {"result": "unknown"},
)
JOIN_MISROUTED = Happening(
    Log.warning,
    "users are written from more than one partition: the topics are not co-partitioned by user, and the "
    "as-of join is best effort",
    "join_misrouted_total",
    once=True,
)
JOIN_REFUSED = Happening(
    Log.warning,
    "updates were refused: they would make a user larger than `limits` in pipeline.yaml allows",
    "join_refused_total",
)
JOIN_FORMS_FULL = Happening(
    Log.warning,
    "the rows of a table keep changing their columns: columns dropped from now on are not noticed, and users "
    "keep their values",
    "join_forms_full_total",
    once=True,
)
JOIN_MERGES_REFUSED = Happening(
    Log.warning,
    "alias calls no longer merge users: `join.max_merged` in pipeline.yaml is reached; each becomes a dead "
    "letter, and is treated as a link of its anonymous id",
    "join_merges_refused_total",
    once=True,
)
JOIN_LATE = Happening(
    Log.warning,
    "records came too late: a later record of the other topic had been joined",
    "join_late_records_total",
    once=True,
)
JOIN_AHEAD = Happening(
    Log.warning,
    "records are stamped more than a minute ahead of the clock: the join does not use their time",
    "join_clock_ahead_total",
    once=True,
)
UNANSWERED = Happening(
    Log.warning,
    "no broker answers for a topic partition, while others do: it has no leader, or its leader is not "
    "reachable from here",
    "source_unanswered",
    every_secs=600,
)
UNDECIDED = Happening(
    Log.warning,
    "a transaction has been open for more than a minute: what is behind it in its topic cannot be read yet",
    "source_undecided_records",
    every_secs=600,
)
UNREADABLE = Happening(
    Log.error,
    "nothing can be read of a topic partition for more than a minute, though records are there: the batch at "
    "this offset is damaged, or behind it are very many that an aborted transaction wrote",
    "source_unreadable_records",
    every_secs=600,
)
HEADERS_UNREADABLE = Happening(
    Log.warning,
    "a header of a message has a name that is not UTF-8: such messages are read without their headers",
    "source_headers_unreadable_total",
    every_secs=600,
)
UNALIGNED = Happening(
    Log.warning, "events were joined before the other topic had caught up", "join_unaligned_total"
)

NOT_UNDERSTOOD = Happening(Log.error, "most of the records cannot be parsed", "records_not_understood_total")

PAUSE_ENDED = Happening(
    Log.warning,
    "a webhook that pauses the source takes nothing: reading goes on, and its matches beyond `max_pending` "
    "become dead letters",
    "source_pauses_ended_total",
)

CLOCK_SET_BACK = Happening(
    Log.warning, "the machine's clock was set back: restarting from the last epoch", "clock_set_back_total"
)
COMMITS_SLOW = Happening(
    Log.warning,
    "commits take more than half of each epoch: the disk is slow, and deliveries wait for it",
    "commits_slow",
)
COMMITS_FAST = Happening(Log.info, "commits are fast again", "commits_slow", value=0)
WORKER_STILL = Happening(
    Log.error,
    "the worker is stuck: it reads and commits nothing, and cannot stop",
    "worker_standstills_total",
)

DEAD_LETTERS_DROPPED = Happening(
    Log.warning,
    "dead letters were dropped, the oldest first: `dead_letters` in pipeline.yaml says how many and how long "
    "they are kept; `hookline status` counts them for each webhook",
    "dead_letters_dropped_total",
    every_secs=60.0,
)
NOT_COPIED = Happening(
    Log.error,
    "dead letters cannot be copied, trying again; they are kept in the state directory",
    "dead_letter_copies_total",
    {"result": "error"},
    every_secs=60.0,
)
DEAD_LETTER_TOO_LARGE = Happening(
    Log.error,
    "a dead letter is too large for the topic and was not copied",
    "dead_letter_copies_total",
    {"result": "error"},
)

COLLECT_REFUSING = Happening(
    Log.error, "events cannot be stored: requests are refused, and clients retry", "collect_refusing"
)
COLLECT_KEEPING = Happening(Log.info, "events are stored again", "collect_refusing", value=0)
COLLECT_UNFIT = Happening(
    Log.error,
    "the brokers refuse a record permanently: its request is refused each time it is sent",
    "collect_unfit_total",
    every_secs=60.0,
)
COLLECT_FORGOTTEN = Happening(
    Log.warning,
    "more message ids came than can be remembered: the oldest are forgotten before `collect.dedupe` is over",
    "collect_forgotten_total",
    every_secs=600.0,
)
COLLECT_READER_DAMAGED = Happening(
    Log.warning,
    "a reader's position file is damaged: no segment is removed until its job rewrites the file, or it is "
    "deleted",
    "collect_readers_damaged_total",
    every_secs=600.0,
)
COLLECT_NOT_LOOKED_AFTER = Happening(
    Log.warning,
    "closed segments cannot be compressed or removed, trying again",
    "collect_keeping_failures_total",
    every_secs=60.0,
)
