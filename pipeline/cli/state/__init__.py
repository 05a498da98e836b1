"""Verbs that look after a job: status, tap, top, dlq, outbox, webhook, state."""
