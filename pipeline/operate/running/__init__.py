"""A job as it stands: what it says of itself, and what it is asked to change."""
