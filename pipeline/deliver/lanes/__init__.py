"""Whose turn it is: what waits for one webhook, what may be sent next, what follows from an answer."""
