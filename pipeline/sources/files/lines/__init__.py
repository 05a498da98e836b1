"""Bytes of files and pipes, unpacked and cut into lines, and what a recorded line holds."""
