"""A first project, a first webhook: what a person starts from."""
