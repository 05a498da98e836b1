"""Texts of a config that nobody has saved yet: checked, tried, completed, in a process of their own."""
