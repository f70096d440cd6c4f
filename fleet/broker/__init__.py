"""The broker that `serve` brings along."""
