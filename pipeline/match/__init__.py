"""Which webhooks want an event: conditions, labels, triggers."""
