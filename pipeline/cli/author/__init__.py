"""Verbs for who writes webhooks: check, test, explain, send, diff, new, config, schema, secret."""
