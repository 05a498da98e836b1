"""Records that name their schema: the frame around them, Avro, Kafka Connect's values, the schemas known."""
