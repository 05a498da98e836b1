"""New Webhook and Edit: what is sent, what it comes to, what is shown of it."""
