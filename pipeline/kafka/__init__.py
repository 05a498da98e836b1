"""librdkafka for everybody: how clients are set up, what brokers say."""
