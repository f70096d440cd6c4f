"""What the fleet knows, as files that other programs read."""
