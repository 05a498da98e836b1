"""Records, times, errors: imports nothing of ours."""
