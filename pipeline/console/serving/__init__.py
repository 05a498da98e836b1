"""The console's server: one process, one gate for every request, one table of routes."""
