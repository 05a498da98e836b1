"""Raw records become events, property updates and links.

shapes      the table of built-in shapes, a row each; shape.py is what a row says, auto.py chooses among them
builtin     one module per built-in shape; exports/ are those that `format` has to name
mapped      own shapes: YAML compiled to plain functions
decode      one line or message at a time: envelopes, dead letters
scan        a chunk at a time, with a first look (glance) that drops what no webhook wants
members     the members of an envelope that is no JSON as a whole
walk        the same of what came over HTTP, which is forgiven more
strangers   what looks like a shape and is another's
strict      JSON, fields: what every shape reads with
"""
