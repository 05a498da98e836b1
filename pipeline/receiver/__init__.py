"""A receiver for trying webhooks out and for breaking senders: `hookline receiver`.

It answers as a script says, records what arrives, and checks signatures. Nothing here knows the engine, so a
test that uses it checks Hookline from outside.
"""
