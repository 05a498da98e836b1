"""Config texts become an immutable snapshot of plain functions and tables."""
