"""Verbs for who writes webhooks: init, new, check, test, explain, send, diff, sniff, config, schema."""
