"""What a person may ask of a config or a job, as plain functions."""
