"""Edits of YAML files that keep every byte they need not change."""
