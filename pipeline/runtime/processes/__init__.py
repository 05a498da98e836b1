"""Processes that this one starts and looks after: the members of a job, a collector beside it."""
