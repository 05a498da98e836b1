"""What Debezium writes: table changes, and the keys of their rows."""
