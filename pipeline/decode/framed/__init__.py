"""Records that name their schema: the frame, Avro, Kafka Connect's values, the known schemas."""
