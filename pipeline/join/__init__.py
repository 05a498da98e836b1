"""What is known of users: their properties, their links, what `limit` and `repeat` remember."""
