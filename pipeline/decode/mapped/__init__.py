"""Own shapes: what a YAML file says of a record becomes plain functions."""
