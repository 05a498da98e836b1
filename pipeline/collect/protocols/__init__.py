"""One module per protocol: what its requests contain, and how they are answered.

table       (method, path) -> the protocol and what the path says
protocol    what a protocol is: Route, Cut, Malformed
answers     bodies of answers
"""
