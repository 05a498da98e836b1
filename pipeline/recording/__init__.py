"""Streams saved as files, and files loaded into topics."""
