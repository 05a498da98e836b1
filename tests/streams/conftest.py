"""Fixtures of this folder."""

from fakes import unsynced

__all__ = ["unsynced"]
