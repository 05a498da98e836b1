"""Hookline: a stream of product events becomes webhooks. The rooms, in the order in which data walks down.

cli         words, tables, exit codes: no logic
console     web pages over operate: webhooks shown and edited in a browser
operate     what a person may ask of a config, stream or job: status, dead letters, check, explain, sniff
runtime     one process of a job or a collector: parts, state directory, recovery, reload; several of them
admin       what a running job answers: one route table, over a socket (commands) and HTTP (health, metrics)
collect     events over HTTP: protocols, keys, limits, and the sinks that keep what came
job         the dataflow and its steps: source, select, identity, shard, copies
compile     config texts become a snapshot of plain functions; lint; versions; edits tried in another process
recording   streams kept as files, and files put into topics
deliver     the engine: lanes (whose turn it is), requests (the bytes), http (the wire)
outbox      what is owed, done, dead, counted: handover, journal, dead letters; copies, reading (from outside)
sources     readers of files and topics, merged by time
kafka       librdkafka for everybody: clients, questions to brokers, files
match       conditions, labels, triggers
render      templates, bodies, requests
join        users, links, limits
config      files and the job's own settings; yaml (places and slips), edit (patches of them), models
decode      raw records become events, updates, links: a table of shapes, and custom ones
store       bytes on disk: LMDB, one transaction per epoch, undo
language    paths, secrets, slots, units: the words that match, render and config share
telemetry   the table of metrics, what happens (a metric and a log line), the log
receiver    the receiver of tests, tours and `hookline receiver`
model       records, times, errors, files; process (bounds, signals, exit codes): imports nothing of ours
"""

__version__ = "0.1.0"
