"""The stores seen from outside the job: read, shown, and maintained."""
