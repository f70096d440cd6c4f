"""Structured pruning: which filters go, and the surgery that removes them."""
