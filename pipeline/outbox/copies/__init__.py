"""Copies of dead letters for others to read, in a file or a topic."""
