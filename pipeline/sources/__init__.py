"""Readers: each brings one source partition, in order."""
