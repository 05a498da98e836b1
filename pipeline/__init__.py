"""Hookline: turns a stream of product events into webhooks. The rooms, in the order in which data flows down.

cli         the command line: arguments, output, exit codes; no logic
console     the web console over operate: view and edit webhooks in a browser
operate     operations on a config, stream or job: status, dead letters, check, explain, sniff
runtime     one process of a job or collector: parts, state directory, recovery, reload; process groups
admin       the API of a running job: one route table, over a socket (commands) and HTTP (health, metrics)
collect     events over HTTP: protocols, keys, limits, and the sinks that store them
job         the dataflow and its steps: source, select, identity, shard, copies
compile     config texts become a snapshot of plain functions; lint; versions; trials in another process
recording   streams recorded to files, and files produced to topics
deliver     the delivery engine: lanes (scheduling), requests (bytes), http (the wire)
outbox      deliveries owed and ended: handover, journal, dead letters, counts; copies, reading (from outside)
sources     readers of files and topics, merged by time
kafka       Kafka access shared by all: clients, admin queries, files
match       conditions, labels, triggers
render      templates, bodies, requests
join        user state: properties, links, limits
config      config files and job settings; yaml (positions, errors), edit (patches), models
decode      raw records become events, updates and links: a table of shapes, and custom shapes
store       durable storage: LMDB, one transaction per epoch, undo
language    paths, secrets, slots, units: the vocabulary shared by match, render and config
telemetry   metrics, happenings (a metric and a log line), the log
receiver    the receiver used by tests, tours and `hookline receiver`
model       records, times, errors, files; process (limits, signals, exit codes): imports no other room
"""

__version__ = "0.1.0"
