"""Edits of YAML files that leave every byte alone that they do not mean."""
