"""Keeps members in a folder of recorded lines, synced before their request is answered."""
