"""Unmodified SDKs as clients of a collector that runs as its users run it."""
