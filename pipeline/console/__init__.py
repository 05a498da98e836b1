"""Web pages over `operate`: shows and edits webhooks in a browser."""
