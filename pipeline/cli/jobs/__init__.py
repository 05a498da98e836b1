"""Verbs that run something until it ends: run, replay, record, produce, receiver."""
