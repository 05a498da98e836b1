"""Cuts a request into members: raw bytes without the write key, with corrected times."""
