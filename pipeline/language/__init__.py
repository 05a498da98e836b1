"""The words that match, render and config share: addresses, paths, secrets, slots, units."""
