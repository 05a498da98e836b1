"""Files: durable writes and locks, log files, bounded reads of files that a config names."""
