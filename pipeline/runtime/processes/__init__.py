"""Processes that this one starts and supervises: the members of a job, a collector beside it."""
