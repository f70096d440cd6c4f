"""What was found out layer by layer: measured with torch, kept and read again without it."""
