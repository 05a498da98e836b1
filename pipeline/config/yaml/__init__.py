"""YAML with places: every value knows its line, every problem names it."""
