"""Verbs for writing webhooks: init, new, check, test, explain, send, diff, sniff, config, schema."""
