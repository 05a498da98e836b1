"""The first look at a line: events that nobody can want are not parsed further."""
