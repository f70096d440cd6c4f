"""What can be asked for, a group of paths a file."""
