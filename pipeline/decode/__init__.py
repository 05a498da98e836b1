"""Raw records become events, property updates and links.

shapes      the table of built-in shapes, one row each; shape.py defines a row, auto.py chooses among them
builtin     one module per built-in shape; those in exports/ must be named by `format`
mapped      custom shapes: YAML compiled to plain functions
decode      one line or message at a time: envelopes, dead letters
scan        a chunk at a time, with a first look (glance) that drops what no webhook wants
connect     what Debezium and Kafka Connect write
framed      records of a Schema Registry: frames, Avro, Connect's values, the known schemas
raw         strict JSON, its fields and members: what every shape reads with
strangers   records that resemble a shape but belong to another
"""
