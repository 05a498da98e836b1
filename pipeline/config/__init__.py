"""Config files as they are read: texts, webhooks, the job's settings."""
