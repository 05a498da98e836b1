"""Bytes of files and pipes, decompressed and split into lines; the contents of recorded lines."""
