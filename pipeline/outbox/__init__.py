"""What webhooks owe: handed over, stored, journalled, dead-lettered, counted."""
