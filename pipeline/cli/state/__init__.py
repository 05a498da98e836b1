"""Verbs that look after a job: status, dlq, outbox, webhook, state."""
