"""Serving the chosen variant over HTTP: one warm worker behind a small server."""
