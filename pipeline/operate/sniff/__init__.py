"""Recognises the format of a stream, and proposes a shape file for an unknown one."""
