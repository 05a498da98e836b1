"""The state directory: its owner, what a job resumes from, what a start refuses."""
