"""Readers: each yields one source partition, in order."""
