"""A webhook's form and its YAML, each made from the other; the YAML is the truth.

What a form cannot hold is a locked row: shown, never dropped, never rewritten. Nothing here knows of HTTP.
"""
