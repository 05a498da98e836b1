"""HTTP/1.1 for untrusted clients: connections, limits, compressed bodies, overload.

server       listens, ends what takes too long, stops
connection   reads requests whole, one after another, and answers them in order
request      one that is being read
unpack       gzip, deflate, zstd: never more than a body may hold
gate         how many bytes are under way in all: who waits, and for how long
reply        an answer as bytes, and the answers to what is no request
cors         what a page of another origin may do
"""
