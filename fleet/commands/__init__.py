"""The commands of `edgewright-fleet`, one a file."""
