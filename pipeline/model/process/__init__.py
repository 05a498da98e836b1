"""What one process is: how it starts, what it may take, how it is told to stop, how it ends."""
