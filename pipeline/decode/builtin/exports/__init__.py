"""Shapes of other vendors: what their HTTP APIs take, and what they export."""
