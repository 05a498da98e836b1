"""What people may see of a job while it runs: taps, and samples of what it reads. In memory only."""
