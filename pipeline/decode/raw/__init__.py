"""A record as it was sent: strict JSON, its fields and members cut out, single fields read."""
