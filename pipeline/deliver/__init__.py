"""Delivery: lanes, policy, HTTP clients, network guard, signatures (DESIGN 7)."""
