"""The same functions as the pages, as JSON under /api/v1."""
