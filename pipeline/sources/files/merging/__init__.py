"""Merges the lines of several files into one stream by time, each message once."""
