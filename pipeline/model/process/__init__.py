"""One process: how it starts, what it may use, how it is told to stop, how it ends."""
