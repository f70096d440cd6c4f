"""Variants in fewer bits: dynamic and static INT8, for the integer kernels of a target."""
