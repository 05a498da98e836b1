"""What people may see of a running job: taps, and samples of what it reads. In memory only."""
