"""Events over HTTP: what SDKs and webhooks post becomes recorded lines or Kafka messages."""
