"""The same as the pages, in JSON, under /api/v1."""
