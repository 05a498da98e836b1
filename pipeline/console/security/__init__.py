"""Who may ask what of the console, and from where."""
