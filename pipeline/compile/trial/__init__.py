"""Tries a config in a separate process before it reaches a running job."""
