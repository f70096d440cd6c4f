"""Networks by name, with their weights: what a build starts from."""
