"""What each kind of config file may contain, and its JSON Schema."""
