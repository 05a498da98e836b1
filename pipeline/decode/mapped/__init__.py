"""Custom shapes: a YAML description of a record compiled to plain functions."""
