"""One file or pipe, read forward: its lines, and where to go on from."""
