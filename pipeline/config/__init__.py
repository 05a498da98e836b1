"""Config files as they are read: texts, webhooks, the settings of the job."""
