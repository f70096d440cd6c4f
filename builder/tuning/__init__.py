"""Training: from scratch, after surgery, and for a smaller input."""
