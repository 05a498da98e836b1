"""The words that match, render and config share: paths, secrets, slots, units."""
