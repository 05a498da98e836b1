"""Tries a config without a job: on one event, a recorded stream, another config, its receiver."""
