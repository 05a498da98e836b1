"""The one table of all metrics: what is measured, in which unit, what it means, what to do about it.

A name that is not in `MetricName` does not type-check, and a test holds `MetricName` and `METRICS` equal,
every row in use, and the table in the README up to date. To add a metric, add its name (telemetry/names.py)
and its row.
"""

from __future__ import annotations

from pipeline.telemetry.collect_table import COLLECT
from pipeline.telemetry.metric import Metric, counter, gauge, seconds
from pipeline.telemetry.names import MetricName

__all__ = ["METRICS", "Metric"]

WEBHOOK = ("webhook",)

METRICS: dict[MetricName, Metric] = {
    # --- reading
    "records_total": counter(
        "records",
        "records read, by kind: event, update, link, invalid",
        "invalid grows: `hookline dlq list --reason invalid` shows the records and why",
        ("kind",),
    ),
    "records_not_understood_total": counter(
        "records",
        "invalid records of a start of which most could not be understood, when that was noticed",
        "the source has another shape than `format` says: `hookline sniff FILE` tells which",
    ),
    "bytes_read_total": counter("bytes", "bytes of input read"),
    "chunks_total": counter("chunks", "chunks of records that entered the flow"),
    "events_selected_total": counter("events", "events that some webhook may want, by their event side"),
    "source_lag": gauge(
        "records",
        "records of a topic partition that are not read yet",
        "grows: add processes (`--processes`), or look for a paused source",
        ("partition",),
    ),
    "source_paused": gauge(
        "0 or 1",
        "1 while the source waits: `disk` (reserve), `commit` (a slow one is under way, or "
        "much waits for it), "
        "`webhook` (on_full: pause), `engine` (queues full), "
        "`peers` (another process of the job has enough to do); the first of these that holds",
        "disk: free space; commit: see `hookline_commits_slow`; "
        "webhook: `hookline status` shows the lane that is full",
        ("reason",),
    ),
    "source_schemas_missing": gauge(
        "schemas",
        "schemas that records wait for because their registry does not answer, or not as one",
        "`hookline status` and /readyz say which and why: look at the registry, its URL and credentials",
    ),
    "source_schemas_total": counter(
        "schemas",
        "schemas that a registry was asked for, by result: ok, unknown",
        "unknown grows: producers write ids of another registry than the topic's `format` names",
        ("result",),
    ),
    "source_pauses_ended_total": counter(
        "pauses",
        "times that the source waited no longer for a webhook with `on_full: pause`: it took nothing",
        "mend its receiver, `hookline dlq replay --reason max-pending`; or raise `delivery.max_pause`",
        WEBHOOK,
    ),
    "source_new_partitions_total": counter(
        "partitions",
        "topic partitions that appeared after the start",
        "none for a job, which starts anew by itself; restart `hookline record` to record them",
        ("topic",),
    ),
    "source_unreachable": gauge(
        "0 or 1", "1 while no Kafka broker answers", "look at the brokers and the network between"
    ),
    "source_uneven_topics": gauge(
        "0 or 1",
        "1 where the topics of the source have different numbers of partitions",
        "give them the same number and the same key, or set `join: {partitions: together}`",
    ),
    "source_history_limited": gauge(
        "0 or 1",
        "1 where a topic of user updates is compacted (its records are deltas) or expires, or one of events "
        "is compacted",
        "give it `cleanup.policy=delete` and `retention.ms=-1`: a new state directory, `state rebuild` and "
        "`replay --from-kafka` see only what is left",
        ("topic",),
    ),
    "source_skipped_total": counter(
        "offsets",
        "offsets jumped over because retention had removed them or the topic was made anew (`out_of_range`)",
        "lengthen the topic's retention: records were lost before they were read",
        ("partition",),
    ),
    "source_twice_total": counter(
        "lines",
        "lines of recordings left out: a message of the same topic, partition and offset was read before",
        "nothing, where recordings overlap; else look what was written twice",
    ),
    "source_commit_failures_total": counter(
        "commits",
        "failed commits of the Kafka group's offsets; only lag tools depend on them",
        "give the user READ on the group",
    ),
    # --- join
    "join_late_records_total": counter(
        "records",
        "records that came after one of the other side of the join had left that they precede: read again, "
        "the same topics are joined in another order. Per partition: an upper bound of the events concerned",
        "raise `join.settle` above what producers linger, or let the topics stamp (LogAppendTime)",
        ("side",),
    ),
    "join_clock_ahead_total": counter(
        "records",
        "records stamped more than a minute ahead of the clock and of their topic partition; such a stamp is "
        "not believed in the join",
        "look for a producer with a wrong clock",
    ),
    "join_unaligned_total": counter(
        "events",
        "events that went on before the user-property topic had passed their time",
        "raise `join.max_wait`, or look at why the property topic lags",
    ),
    "join_misrouted_total": counter(
        "users",
        "users whose records came from more than one partition",
        "key all topics by user id and give them equally many partitions, or `join: {partitions: together}`",
    ),
    "join_merges_refused_total": counter(
        "alias calls",
        "alias calls that joined no users, because `join.max_merged` are joined already",
        "`hookline dlq list --webhook -` has them; raise `join.max_merged`: 300 bytes of memory each",
    ),
    "join_forms_full_total": counter(
        "updates",
        "rows of tables with columns that no row before had together, beyond 1 MiB of names of columns",
        "a topic of changes has what is no table; drop such columns before (`exclude` of the topic)",
    ),
    "join_refused_total": counter(
        "updates",
        "updates of users that were refused: with them a user would be larger than `limits` allows",
        "find who writes without end (`dlq` does not have them); raise `limits.user` if it is meant",
    ),
    "join_wait_seconds": seconds("time that an event waited for the user-property side"),
    # --- per webhook: matched = delivered + dead + pending + suppressed
    "webhook_matched_total": counter("matches", "events that matched a webhook", "", WEBHOOK),
    "webhook_delivered_total": counter("deliveries", "deliveries answered with success", "", WEBHOOK),
    "webhook_dead_total": counter(
        "deliveries", "deliveries given up", "see `hookline_dead_letters_total`", WEBHOOK
    ),
    "webhook_suppressed_total": counter("matches", "matches held back by `limit` or `dedupe`", "", WEBHOOK),
    "webhook_pending": gauge(
        "deliveries",
        "deliveries owed: waiting, in flight, or on disk",
        "grows: the receiver is slow or down; see `hookline_attempts_total` by outcome",
        WEBHOOK,
    ),
    "webhook_disabled": gauge(
        "0 or 1",
        "1 while a webhook is disabled by a 410 answer or paused by a command",
        "`hookline webhook enable ID` (`resume ID` where it was paused), or a change of its file",
        WEBHOOK,
    ),
    # --- delivery engine
    "attempts_total": counter(
        "requests",
        "requests sent, by outcome: a status (200, 503), `timeout`, `connect`, `reset`, `guard-refused`; "
        "`machine`: not sent, as this machine had no descriptor, port or thread for it",
        "much beside 2xx: the receiver's fault or the request's; `hookline status` has the last answer. "
        "`machine`: raise what it names",
        ("webhook", "outcome"),
    ),
    "attempt_seconds": seconds(
        "time of one successful request, from the write to the end of the answer",
        "grows: the receiver is slow, or far away",
        WEBHOOK,
    ),
    "delivery_latency_seconds": seconds(
        "time from the match of an event to the answer of its last request",
        "grows: the receiver is slow, or the lane's rate or concurrency is the limit",
        WEBHOOK,
    ),
    "lane_waiting": gauge(
        "deliveries", "deliveries in memory that wait for a slot or their due time", "", WEBHOOK
    ),
    "lane_in_flight": gauge("requests", "requests that await their answer", "", WEBHOOK),
    "lane_concurrency": gauge(
        "requests",
        "how many requests may be in flight; adapts to the receiver",
        "stays at 1: the receiver takes no more at once without failing",
        WEBHOOK,
    ),
    "lane_receiver_down": gauge(
        "0 or 1",
        "1 while the receiver fails every request and is only probed",
        "deliveries wait and are sent when it answers again",
        WEBHOOK,
    ),
    "lane_success_share": gauge(
        "share",
        "part of the latest answers that were good; below 0.4 fewer requests are sent at once",
        "stays below 0.9: a part of the receiver fails; deliveries are tried again soon, and arrive",
        WEBHOOK,
    ),
    "connections_open": gauge("connections", "open connections to receivers"),
    "connections_opened_total": counter(
        "connections",
        "connections made",
        "near `hookline_attempts_total`: the receiver closes after each answer, so each request shakes hands",
    ),
    "answers_out_of_step_total": counter(
        "signs",
        "answers that nobody had asked for, by sign: unasked (no request was under way), surplus (more came "
        "than the answer), early (before the request was sent), garbled (no answer, after others were)",
        "find what answers twice or too early: the receiver, or a proxy before it",
        ("webhook", "sign"),
    ),
    "origins_distrusted": gauge(
        "origins",
        "receivers (scheme, host, port) that get a connection per request for an hour after such a sign",
    ),
    "guard_refused_total": counter(
        "dials",
        "connections refused because the address is private, loopback, metadata or otherwise special",
        "if it is meant, open it in `network.allow` of config/pipeline.yaml",
        WEBHOOK,
    ),
    "oauth_tokens_total": counter(
        "requests",
        "OAuth2 token requests, by result: ok, error",
        "error: client id, secret or token_url are wrong or the token endpoint is down",
        ("webhook", "result"),
    ),
    # --- state
    "state_commit_seconds": seconds(
        "time of one shard's commit, sync included", "over 0.1: a slow disk; raise `epoch` or move `state`"
    ),
    "epoch_commit_seconds": gauge(
        "seconds",
        "time that the last epoch's end took, all commits together; nothing is read meanwhile",
        "over half of `epoch`: see `hookline_commits_slow`",
    ),
    "commits_slow": gauge(
        "0 or 1",
        "1 while commits take more than half of each epoch; what is read meanwhile waits for the next one",
        "put the state directory on a faster disk, raise `epoch`, or start a new one with fewer `shards`",
    ),
    "state_disk_free_bytes": gauge(
        "bytes", "free space where the state directory is", "free space before the reserve is reached"
    ),
    "state_undone_total": counter("shards", "shards that took back an epoch at the start, after a crash"),
    "journal_results_total": counter("results", "results read from journals at the start, after a crash"),
    "dead_letters_total": counter(
        "dead letters",
        "dead letters that this process made, by reason; records not understood have no webhook",
        "`hookline dlq list --webhook ID`; after the cause is mended `hookline dlq replay`",
        ("webhook", "reason"),
    ),
    "dead_letters_dropped_total": counter(
        "dead letters",
        "dead letters that were let go, by reason: quota (`dead_letters.max_bytes`), age (`max_age`)",
        "mend what makes them, then replay or purge what is left; raise `dead_letters.max_bytes`",
        ("webhook", "reason"),
    ),
    "dead_letter_copies_total": counter(
        "dead letters",
        "copies of dead letters written to the configured topic or file, by result: ok, error",
        "error: look at the topic or the file; the dead letters themselves are safe in the state directory",
        ("result",),
    ),
    # --- the worker
    "worker_still_seconds": gauge(
        "seconds",
        "time since the worker last read or worked; over 10 (or three epochs) the job is not ready",
        "the log says where it stands: a disk or a lock that does not answer; a restart is safe",
    ),
    "worker_standstills_total": counter(
        "standstills",
        "times that the worker stood still: nothing was read, committed or stopped",
        "the log says where: look at the disk; a restart is safe",
    ),
    "clock_set_back_total": counter(
        "steps",
        "times that the machine's clock was set back by more than a second; the job starts anew at once",
        "let NTP slew the clock once the machine runs, and step it only before",
    ),
    # --- config
    "config_reloads_total": counter(
        "reloads",
        "config changes seen while running, by result: ok, broken",
        "broken: `hookline check` shows what is wrong; mend it before the next start",
        ("result",),
    ),
    "config_problems": gauge(
        "errors",
        "errors in the config on disk; the last good version keeps running",
        "`hookline check` shows each",
    ),
    # --- events over HTTP
    **COLLECT,
    # --- process
    "process_resident_memory_bytes": gauge("bytes", "memory of the process"),
    "process_open_fds": gauge("descriptors", "open file descriptors", "near `ulimit -n`: raise it"),
    "process_cpu_seconds_total": counter("seconds", "CPU time of the process"),
    "up_seconds": gauge("seconds", "time since the job started"),
}
