"""A condition tree becomes one function."""
