"""Guesses what the fields of unknown records are, and writes the entries of a shape file."""
