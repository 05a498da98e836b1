"""The fields of a form: single texts, and rows of headers, body and conditions, read from the YAML."""
