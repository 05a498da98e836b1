"""A table in a real PostgreSQL, Debezium in a real Kafka Connect, and what both write (README.md)."""
