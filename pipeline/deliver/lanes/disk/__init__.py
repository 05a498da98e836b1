"""Between a lane and its shard's disk: rows that wait there, those on their way to it, reading them back."""
