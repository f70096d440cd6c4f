"""The fleet over HTTP: what it knows, what it would do, and what happens."""
