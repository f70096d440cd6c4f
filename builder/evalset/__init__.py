"""The evaluation set of a bundle set: which images a device gets to measure accuracy itself."""
