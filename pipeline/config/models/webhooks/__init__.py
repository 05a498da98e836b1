"""The models of webhooks, labels and tests."""
