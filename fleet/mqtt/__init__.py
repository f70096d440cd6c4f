"""The fleet as a client of a broker."""
