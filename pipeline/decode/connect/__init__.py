"""What Kafka Connect writes: values by their schema (values), and the changes of tables (debezium)."""
