"""Schemas of a registry: asked for, kept on disk, waited for by the reader whose records name them."""
