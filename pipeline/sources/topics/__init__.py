"""Kafka topics: read side by side, merged by broker time."""
