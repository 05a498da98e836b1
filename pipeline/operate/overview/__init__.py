"""A job at a glance: its state, each webhook in a row, what needs attention, the last hour."""
