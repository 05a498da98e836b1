"""The merge: the sides of a source partition become one order, the same again after a crash."""
