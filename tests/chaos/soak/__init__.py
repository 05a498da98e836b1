"""`make soak`: a whole installation for half an hour, with everything that could leave something behind."""
