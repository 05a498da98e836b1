"""The delivery engine: one thread, one lane per webhook."""
