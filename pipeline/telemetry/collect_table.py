"""The metrics of `hookline collect`."""

from __future__ import annotations

from pipeline.telemetry.metric import Metric, counter, gauge, seconds
from pipeline.telemetry.names import MetricName

_SHIFTS = (1.0, 5.0, 30.0, 60.0, 300.0, 3600.0, 86_400.0)

COLLECT: dict[MetricName, Metric] = {
    "collect_requests_total": counter(
        "requests",
        "requests of events, by protocol, the key's name (`-`: none that is known) and status",
        "401 or 403 of a name grows: a page or server uses a wrong key, or one that is not meant for it; "
        "other 4xx: see `hookline_collect_refused_total`",
        ("protocol", "key", "status"),
    ),
    "collect_members_total": counter(
        "records", "records stored, by protocol and key, including repeats", "", ("protocol", "key")
    ),
    "collect_repeats_total": counter(
        "records",
        "records among them that had been stored before, under the same message id",
        "grows steadily: clients do not get answers in time, or send everything twice",
        ("protocol", "key"),
    ),
    "collect_refused_total": counter(
        "requests",
        "requests refused, by reason: busy, disk, broker, unfit, stopping (clients may retry these), "
        "too_large, bad_encoding, unknown_encoding, malformed, head_too_large, timeout, connections, key, "
        "origin",
        "busy: more arrives than the disk or the brokers take; disk: free some space, or start the job that "
        "reads; key: see `hookline_collect_requests_total`; too_large: `collect.limits` in pipeline.yaml",
        ("reason",),
    ),
    "collect_answer_seconds": seconds(
        "from a request's last byte until its answer is written", "grows: look at the disk or the brokers"
    ),
    "collect_held": gauge(
        "requests",
        "requests waiting for room",
        "stays above 0: see `hookline_collect_refused_total`",
    ),
    "collect_in_flight_bytes": gauge(
        "bytes", "bodies being read or stored; at most `collect.limits.in_flight`"
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
        "time to write and sync one group of requests, or until the brokers acknowledge it",
        "the disk (or the brokers) is slow: requests wait for it",
    ),
    "collect_kept_lines_total": counter("records", "records stored, without repeats"),
    "collect_kept_bytes_total": counter("bytes", "their size as stored"),
    "collect_oldest_waiting_seconds": gauge(
        "seconds",
        "how long the oldest request that is not stored yet has waited",
        "grows: the disk or the brokers do not answer; the log says more",
    ),
    "collect_refusing": gauge(
        "0 or 1",
        "1 while requests are refused because the disk or the brokers do not take them",
        "see the log: a full disk (`collect.reserve`), a failing disk, or unreachable brokers",
    ),
    "collect_unfit_total": counter(
        "requests",
        "requests with a record that the brokers refuse for good: it has no key and the topic is compacted, "
        "or brokers validate schemas. Clients send it again",
        "set `cleanup.policy=delete` on the topic of `collect.to.kafka`, and turn off schema validation",
    ),
    "collect_segments": gauge(
        "files",
        "files of the recording on disk",
        "grows: no job reads it, or one is behind; a file is removed once all have read it",
    ),
    "collect_disk_bytes": gauge("bytes", "size of these files on disk", "see `hookline_collect_segments`"),
    "collect_remembered": gauge("ids", "message ids kept to recognise repeats, of the last `collect.dedupe`"),
    "collect_forgotten_total": counter(
        "ids",
        "message ids forgotten before `collect.dedupe` was over because too many came",
        "a repeat of those is stored and read by the job again: shorten `collect.dedupe`",
    ),
    "collect_readers_damaged_total": counter(
        "looks",
        "times a reader's position file was found damaged",
        "nothing is removed until the job rewrites its file: start it, or delete the file that the log names",
    ),
    "collect_keeping_failures_total": counter(
        "failures",
        "times closed files of the recording could not be compressed or removed",
        "see the log; it is tried again, and nothing is lost",
    ),
}
