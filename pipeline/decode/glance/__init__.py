"""A first look at each line, so that events nobody wants are not parsed further."""
