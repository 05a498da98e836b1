"""Recordings: JSON lines in files, read and merged."""
