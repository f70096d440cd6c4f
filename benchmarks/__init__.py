"""Benchmarks: commands that measure, print every figure and judge none; see README.md."""
