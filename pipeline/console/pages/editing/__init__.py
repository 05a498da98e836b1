"""The parts of New Webhook and Edit: reading the draft, evaluating it, showing it."""
