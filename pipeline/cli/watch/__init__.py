"""Verbs that watch a running job: tap, top."""
