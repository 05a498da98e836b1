"""Scheduling: what waits for each webhook, what may be sent next, and what follows from an answer."""
