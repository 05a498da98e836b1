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
        "invalid records read until it was noticed, once per start, that most records cannot be parsed",
        "the records have another shape than `format` says: `hookline sniff FILE` shows which",
    ),
    "bytes_read_total": counter("bytes", "bytes of input read"),
    "chunks_total": counter("chunks", "chunks of records that entered the flow"),
    "events_selected_total": counter("events", "events that may match a webhook, judged by the event alone"),
    "source_lag": gauge(
        "records",
        "records of a topic partition not read yet",
        "grows: add processes (`--processes`), or look for a paused source",
        ("partition",),
    ),
    "source_paused": gauge(
        "0 or 1",
        "1 while reading pauses, by reason: `disk` (below the reserve), `commit` (a slow commit is running, "
        "or a large one is due), `webhook` (one with `on_full: pause` is full), `engine` (queues full), "
        "`peers` (another process of the job pauses); of several reasons only the first is 1",
        "disk: free space; commit: see `hookline_commits_slow`; webhook: `hookline status` shows the lane "
        "that is full",
        ("reason",),
    ),
    "source_schemas_missing": gauge(
        "schemas",
        "schemas that records wait for because the registry does not answer, or not like a registry",
        "`hookline status` and /readyz say which and why: look at the registry, its URL and credentials",
    ),
    "source_schemas_total": counter(
        "schemas",
        "schemas requested from a registry, by result: ok, unknown",
        "unknown grows: producers write ids of another registry than the topic's `format` names",
        ("result",),
    ),
    "source_pauses_ended_total": counter(
        "pauses",
        "times the source stopped waiting for a webhook with `on_full: pause` whose receiver took nothing",
        "fix its receiver, then `hookline dlq replay --reason max-pending`; or raise `delivery.max_pause`",
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
    "source_unanswered": gauge(
        "0 or 1",
        "1 while a topic partition has no broker that answers for it, for half a minute or longer",
        "look at the broker that leads it (`kafka-topics.sh --describe`), its `advertised.listeners` and the "
        "network between",
        ("partition",),
    ),
    "source_undecided_records": gauge(
        "records",
        "records of a topic partition behind a transaction that has been open for more than a minute",
        "its producer commits seldom, or has left it open: `kafka-transactions.sh find-hanging` names it; "
        "it is aborted after its `transaction.timeout.ms`",
        ("partition",),
    ),
    "source_unreadable_records": gauge(
        "records",
        "records of a topic partition that have been there for more than a minute, and that the Kafka client "
        "cannot bring",
        "where a replica has the batch undamaged, make it the leader: the job goes on by itself. To give the "
        "batch up, remove it (`kafka-delete-records.sh`) and start once with `out_of_range: earliest`",
        ("partition",),
    ),
    "source_headers_unreadable_total": counter(
        "messages",
        "messages that were read without their headers, as one of those has a name that is not UTF-8",
        "correct the producer; shapes and CloudEvents that need headers cannot read such messages",
        ("topic",),
    ),
    "source_uneven_topics": gauge(
        "0 or 1",
        "1 if the topics of the source have different numbers of partitions",
        "give them the same number and the same key, or set `join: {partitions: together}`",
    ),
    "source_history_limited": gauge(
        "0 or 1",
        "1 if a topic of user updates is compacted (its records are deltas) or expires, or a topic of events "
        "is compacted",
        "give it `cleanup.policy=delete` and `retention.ms=-1`: a new state directory, `state rebuild` and "
        "`replay --from-kafka` see only what is left",
        ("topic",),
    ),
    "source_skipped_total": counter(
        "offsets",
        "offsets skipped because retention had removed them or the topic was recreated (`out_of_range`)",
        "lengthen the topic's retention: records were lost before they were read",
        ("partition",),
    ),
    "source_truncated_total": counter(
        "files",
        "truncations of followed files that have no copy; unread: `some` if bytes are lost that were not "
        "read, or if that is not known, otherwise `none`. The log says how many bytes",
        "rotate it by renaming (`app.jsonl.1`) or keep the copy until it has been read: what is written "
        "between the last read and a truncation is lost unseen",
        ("unread",),
    ),
    "source_twice_total": counter(
        "lines",
        "lines of recordings skipped: a message of the same topic, partition and offset was read before",
        "none if recordings overlap; otherwise find out what was written twice",
    ),
    "source_unordered_total": counter(
        "records",
        "records of files merged by time whose own time is more than a minute from where they were merged; "
        "the join takes each file's own order",
        "sort each file by time, if its order is not the one in which things happened",
    ),
    "source_commit_failures_total": counter(
        "commits",
        "failed commits of the Kafka group's offsets; only lag tools depend on them",
        "give the user READ on the group",
    ),
    # --- join
    "join_late_records_total": counter(
        "records",
        "records that arrived after a later record of the join's other side had been joined: a replay joins "
        "them in another order. Counted per partition, so an upper bound of the events concerned",
        "raise `join.settle` above the `linger.ms` of producers, or let brokers set the time (LogAppendTime)",
        ("side",),
    ),
    "join_clock_ahead_total": counter(
        "records",
        "records stamped more than a minute ahead of the clock and of their topic partition; the join does "
        "not use such a time",
        "look for a producer with a wrong clock",
    ),
    "join_unaligned_total": counter(
        "events",
        "events joined before the topic of user updates had passed their time (`join.max_wait`)",
        "raise `join.max_wait`, or find out why the topic of user updates lags",
    ),
    "join_misrouted_total": counter(
        "users",
        "users whose records came from more than one partition",
        "key all topics by user id with the same number of partitions, or set `join: {partitions: together}`",
    ),
    "join_merges_refused_total": counter(
        "alias calls",
        "alias calls that merged no users because `join.max_merged` is reached",
        "`hookline dlq list --webhook -` lists them; raise `join.max_merged` (300 bytes of memory each)",
    ),
    "join_forms_full_total": counter(
        "updates",
        "rows of tables with a new combination of columns, beyond 1 MiB of column names",
        "a topic of changes carries something else than a table; leave out such columns (`exclude` of the "
        "topic)",
    ),
    "join_refused_total": counter(
        "updates",
        "updates refused because the user would become larger than `limits` allows",
        "find what keeps adding properties (these are no dead letters); raise `limits.user` if that is "
        "intended",
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
        "`hookline webhook enable ID` (`resume ID` if it was paused), or edit its file",
        WEBHOOK,
    ),
    # --- delivery engine
    "attempts_total": counter(
        "requests",
        "requests sent, by outcome: a status (200, 503), `timeout`, `connect`, `reset`, `guard-refused`; "
        "`machine`: not sent, because this machine had no descriptor, port or thread left",
        "many other than 2xx: the receiver or the request is at fault; `hookline status` shows the last "
        "answer. `machine`: raise the limit that it names",
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
        "share of recent answers that were successful; below 0.4 fewer requests are sent at once",
        "stays below 0.9: the receiver fails some requests; they are retried soon, and arrive",
        WEBHOOK,
    ),
    "connections_open": gauge("connections", "open connections to receivers"),
    "connections_opened_total": counter(
        "connections",
        "connections opened",
        "near `hookline_attempts_total`: the receiver closes after each answer, so each request needs a "
        "handshake",
    ),
    "answers_out_of_step_total": counter(
        "signs",
        "unexpected answers, by sign: unasked (no request was under way), surplus (more data than the "
        "answer), early (before the request was sent), garbled (not HTTP, after answers that were)",
        "find what answers twice or too early: the receiver, or a proxy in front of it",
        ("webhook", "sign"),
    ),
    "origins_distrusted": gauge(
        "origins",
        "receivers (scheme, host, port) that get a new connection per request, for an hour after such an "
        "answer",
    ),
    "guard_refused_total": counter(
        "dials",
        "connections refused because the address is private, loopback, metadata or otherwise special",
        "if it is intended, allow it in `network.allow` of config/pipeline.yaml",
        WEBHOOK,
    ),
    "oauth_tokens_total": counter(
        "requests",
        "OAuth2 token requests, by result: ok, error",
        "error: client id, secret or token_url is wrong, or the token endpoint is down",
        ("webhook", "result"),
    ),
    # --- state
    "state_commit_seconds": seconds(
        "time of one shard's commit, including the sync",
        "over 0.1: a slow disk; raise `epoch` or move `state`",
    ),
    "epoch_commit_seconds": gauge(
        "seconds",
        "how long the end of the last epoch took, all commits included; nothing is read meanwhile",
        "over half of `epoch`: see `hookline_commits_slow`",
    ),
    "commits_slow": gauge(
        "0 or 1",
        "1 while commits take more than half of each epoch; what is read meanwhile waits for the next one",
        "put the state directory on a faster disk, raise `epoch`, or start a new one with fewer `shards`",
    ),
    "state_disk_free_bytes": gauge(
        "bytes", "free space on the disk of the state directory", "free some before the reserve is reached"
    ),
    "state_undone_total": counter("shards", "shards that undid an epoch at the start, after a crash"),
    "journal_results_total": counter("results", "results read from journals at the start, after a crash"),
    "dead_letters_total": counter(
        "dead letters",
        "dead letters of this process, by reason; records that cannot be parsed have no webhook",
        "`hookline dlq list --webhook ID`; once the cause is fixed, `hookline dlq replay`",
        ("webhook", "reason"),
    ),
    "dead_letters_dropped_total": counter(
        "dead letters",
        "dead letters dropped, by reason: quota (`dead_letters.max_bytes`), age (`max_age`)",
        "fix their cause, then replay or purge the rest; raise `dead_letters.max_bytes`",
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
        "the log says where it is stuck, on a disk or a lock that does not answer; a restart is safe",
    ),
    "worker_standstills_total": counter(
        "standstills",
        "times the worker was stuck: it read and committed nothing, and could not stop",
        "the log says where: look at the disk; a restart is safe",
    ),
    "clock_set_back_total": counter(
        "steps",
        "times the machine's clock was set back by more than a second; the job restarts at once",
        "let NTP slew the clock while jobs run, and step it only at boot",
    ),
    # --- config
    "config_reloads_total": counter(
        "reloads",
        "config changes seen while running, by result: ok, broken",
        "broken: `hookline check` shows what is wrong; fix it before the next start",
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
