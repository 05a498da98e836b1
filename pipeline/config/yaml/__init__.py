"""YAML with positions: every value knows its line, every problem names it."""
