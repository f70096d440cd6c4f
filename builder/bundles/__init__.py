"""Variants as files: exported, described, and kept in a bundle set."""
