"""Starting points: a first project, a first webhook."""
