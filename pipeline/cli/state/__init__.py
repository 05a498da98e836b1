"""Verbs over a state directory: status, dlq, outbox, webhook, state."""
