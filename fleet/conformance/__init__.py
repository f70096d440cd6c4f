"""The wire contract, tried out on an operator's own broker."""
