"""What the files of webhooks, their labels and their tests may hold."""
