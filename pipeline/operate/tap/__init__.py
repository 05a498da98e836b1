"""A running job seen from outside: its taps followed across restarts, saved as recordings and tests."""
