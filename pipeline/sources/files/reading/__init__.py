"""One file or pipe, read forward: its lines, and where to resume."""
