"""Builds variants of a network for edge boxes."""
