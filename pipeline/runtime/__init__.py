"""One process of a job, from its config to its summary."""
