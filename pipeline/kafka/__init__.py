"""librdkafka for everybody: how clients are configured, what brokers say."""
