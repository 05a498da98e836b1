"""Words that people try for our fields, and what is meant by them: for hints."""

from __future__ import annotations

from typing import Final

SYNONYMS: Final[dict[str, tuple[str, ...]]] = {
    "action": ("request",),
    "bootstrap": ("brokers",),
    "bootstrap.servers": ("brokers",),
    "bootstrap_servers": ("brokers",),
    "broker": ("brokers",),
    "condition": ("where",),
    "conditions": ("where",),
    "config": ("settings",),
    "consumer_group": ("group",),
    "data": ("body",),
    "destination": ("request",),
    "directory": ("paths", "state", "recording"),
    "dir": ("paths", "state", "recording"),
    "disabled": ("enabled",),
    "endpoint": ("url",),
    "distinct_id": ("user_id",),
    "entries": ("records",),
    "event": ("events",),
    "event_name": ("name",),
    "events": ("event",),
    "file": ("paths", "jsonl", "path", "recording"),
    "files": ("paths", "jsonl", "recording"),
    "folder": ("paths", "state", "recording"),
    "filter": ("where",),
    "filters": ("where",),
    "group.id": ("group",),
    "group_id": ("group",),
    "hosts": ("brokers",),
    "if": ("where",),
    "json": ("body", "jsonl"),
    "name": ("id",),
    "offset": ("start",),
    "on": ("trigger",),
    "map": ("records",),
    "params": ("query",),
    "path": ("paths", "jsonl"),
    "payload": ("body",),
    "properties": ("settings",),
    "property_changes": ("changes",),
    "rate_limit": ("rate",),
    "recording": ("jsonl", "paths"),
    "recordings": ("jsonl", "paths"),
    "retries": ("retry",),
    "secret": ("signature",),
    "servers": ("brokers",),
    "sink": ("request",),
    "state_dir": ("state",),
    "timestamp": ("time",),
    "tls": ("ca",),
    "topic": ("events",),
    "topics": ("events",),
    "type": ("kind",),
    "user": ("users",),
    "users": ("user",),
    "variables": ("vars",),
    "when": ("trigger", "where"),
    "where": ("when",),
}
"""What other products call a field; the first name that the section has is meant."""

REMEDIES: Final = {
    "admin": "a job listens on a socket in its state directory, there is nothing to set",
    "labels": "labels are files in labels/",
    "metrics": "give it to the job: `hookline run --metrics 127.0.0.1:9090`",
    "processes": "give it to the job: `hookline run --processes 2`",
    "shapes": "own shapes are files in shapes/, one each",
    "webhook": "webhooks are files in webhooks/, one each",
    "webhooks": "webhooks are files in webhooks/, one each",
}
"""What to do in the place of fields that there are not."""

KINDS: Final = {
    "a webhook": (("trigger", "request"), "webhooks/"),
    "a label": (("name", "any", "capture"), "labels/"),
    "a shape": (("records",), "shapes/"),
    "the job's pipeline.yaml": (("source", "shards", "epoch"), ""),
    "a config test": (("cases",), "a file `NAME.test.yaml` beside its webhook"),
}
"""Top-level fields that tell what a file is meant to be, and where such a file belongs."""
