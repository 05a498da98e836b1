"""A running job: what it reports, and what it can be asked to change."""
