"""A record as it was sent: strict JSON, cutting out fields and members, reading single fields."""
