"""One module per page: it asks `operate`, and hands what it is told to a template."""
