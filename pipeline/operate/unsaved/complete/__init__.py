"""Completion: what may stand at the cursor."""
