"""Verbs that run something until it ends: run, up, collect, console, replay, record, produce, demo."""
