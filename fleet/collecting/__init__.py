"""From the broker into the store, and back as acknowledgements."""
