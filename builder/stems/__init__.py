"""Networks in floats that variants share: pruned, tuned, and kept for the next build."""
