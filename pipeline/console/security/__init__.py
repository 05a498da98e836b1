"""Who may ask the console for what, and from where."""
