"""Sensors, one a file: each reads `/sys` and `/proc` under a root and gives None for absence."""
