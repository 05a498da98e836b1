"""One module per page: it asks `operate` and renders the result with a template."""
