"""Parsing Liquid: tokens, names and paths, python-liquid's parser, and hints for what is mistaken."""
