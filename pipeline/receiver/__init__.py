"""A receiver to try webhooks with and to test senders against: `hookline receiver`.

It answers as a script says, records what arrives, and checks signatures. Nothing here knows the engine, so a
test that uses it checks Hookline from outside.
"""
