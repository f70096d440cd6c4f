"""What a variant is worth: its accuracy, and its speed on this host."""
