"""Which files a recording has, and their names."""
