"""Streams kept as files, and files put into topics."""
