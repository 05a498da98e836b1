"""Which shape the records of a stream have, and a shape file for those that have none."""
