"""When a job reads, waits, drains and stops; what each step asks before it continues."""
