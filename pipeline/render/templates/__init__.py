"""Liquid, in a safe subset, compiled to plain functions."""
