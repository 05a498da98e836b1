"""Which files a recording has, and what they are called."""
