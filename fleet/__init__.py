"""Collects measurements and picks the best variant for each device."""
