"""Measures and runs variants on one edge box."""
