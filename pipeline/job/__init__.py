"""The dataflow of a job and what its steps share."""
