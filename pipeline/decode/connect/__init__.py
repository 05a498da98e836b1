"""What Debezium writes: the changes of tables, and the keys of their rows."""
