"""What each protocol's requests hold, and how it is answered.

table       (method, path) -> the protocol and what the path says
protocol    what a protocol is: Route, Cut, Malformed
answers     bodies of answers
"""
