"""Unsaved config texts: checked, tried and completed in a separate process."""
