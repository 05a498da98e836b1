"""A config is tried in a process of its own before it reaches a running one."""
