"""The metrics of `hookline collect`."""

from __future__ import annotations

from pipeline.telemetry.metric import Metric, counter, gauge, seconds
from pipeline.telemetry.names import MetricName

_SHIFTS = (1.0, 5.0, 30.0, 60.0, 300.0, 3600.0, 86_400.0)

COLLECT: dict[MetricName, Metric] = {
    "collect_requests_total": counter(
        "requests",
        "requests of events, by protocol, the key's name (`-`: none that is known) and status",
        "401 or 403 of a name grows: a page or server has another key, or one that is not for it; 4xx: see "
        "collect_refused_total",
        ("protocol", "key", "status"),
    ),
    "collect_members_total": counter(
        "records", "records that were kept, by protocol and key; repeats count, too", "", ("protocol", "key")
    ),
    "collect_repeats_total": counter(
        "records",
        "records among them that were kept before, under the same message id",
        "grows steadily: clients do not hear the answers in time, or send everything twice",
        ("protocol", "key"),
    ),
    "collect_refused_total": counter(
        "requests",
        "requests that were not taken, by reason: busy, disk, broker, unfit, stopping (these may come "
        "again), too_large, bad_encoding, unknown_encoding, malformed, head_too_large, timeout, "
        "connections, key, origin",
        "busy: more comes than the disk or the brokers take; disk: free space, or a job that does not read; "
        "key: see `hookline_collect_requests_total`; too_large: `collect.limits` in pipeline.yaml",
        ("reason",),
    ),
    "collect_answer_seconds": seconds(
        "from a request's last byte until its answer is written", "see the disk"
    ),
    "collect_held": gauge(
        "requests",
        "requests that wait for room at the moment",
        "stays above 0: see `hookline_collect_refused_total`",
    ),
    "collect_in_flight_bytes": gauge(
        "bytes", "bodies that are being read or kept at the moment; at most `collect.limits.in_flight`"
    ),
    "collect_connections_open": gauge(
        "connections", "open connections; at most `collect.limits.connections`", "raise it, or `ulimit -n`"
    ),
    "collect_shift_seconds": Metric(
        "histogram",
        "seconds",
        "by how much the times of a request were corrected, in either direction: the client's clock was off",
        buckets=_SHIFTS,
    ),
    "collect_commit_seconds": seconds(
        "one group of requests written and synced, or acknowledged by the brokers",
        "the disk (or the brokers) is slow: requests wait for it",
    ),
    "collect_kept_lines_total": counter("records", "records that were kept, without repeats"),
    "collect_kept_bytes_total": counter("bytes", "their size as they are kept"),
    "collect_oldest_waiting_seconds": gauge(
        "seconds",
        "how long the request has waited that came first of those that are not kept yet",
        "grows: the disk or the brokers do not answer; the log says more",
    ),
    "collect_refusing": gauge(
        "0 or 1",
        "1 while what comes is refused, as the disk or the brokers do not take it",
        "see the log: free disk space (`collect.reserve`), a disk that fails, brokers that are away",
    ),
    "collect_unfit_total": counter(
        "requests",
        "requests with a record that the brokers refuse for good: it has no key and the topic is compacted, "
        "or brokers validate schemas. Its clients come again",
        "set `cleanup.policy=delete`, and no validation of schemas, on the topic of `collect.to.kafka`",
    ),
    "collect_segments": gauge(
        "files",
        "files of the recording that are there",
        "grows: a job does not read it, or none does: nothing goes before all have read it",
    ),
    "collect_disk_bytes": gauge("bytes", "their size on disk", "see `hookline_collect_segments`"),
    "collect_remembered": gauge(
        "ids", "message ids by which repeats are known, of the last `collect.dedupe`"
    ),
    "collect_forgotten_total": counter(
        "ids",
        "message ids that were forgotten before `collect.dedupe` was over, as too many came",
        "a repeat of those is kept again, and is one to the job, too: shorten `collect.dedupe`",
    ),
    "collect_readers_damaged_total": counter(
        "looks",
        "files of readers that were not understood when they were looked at",
        "nothing goes until the job writes its file anew: start it, or remove the file that the log names",
    ),
    "collect_keeping_failures_total": counter(
        "failures",
        "times that closed files of the recording could not be compressed or removed",
        "see the log; it is tried again, and nothing is lost",
    ),
}
