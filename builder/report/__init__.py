"""The report of a bundle set: what its variants are worth, to look at, and as data."""
