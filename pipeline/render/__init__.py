"""A webhook's `request:` compiled once, rendered per event."""
