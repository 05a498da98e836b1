"""A job at a glance: how it stands, each webhook in a row, what needs a person, and the last hour."""
