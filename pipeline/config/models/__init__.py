"""What each kind of config file may hold, and its JSON Schema."""
