"""Records that name their schema: the frame around them, Avro, and the schemas that are known."""
