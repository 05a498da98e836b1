"""Raw records become events, property updates and links: one module per shape."""
