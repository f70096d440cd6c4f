"""What the fleet keeps: devices, results, decisions, desired states."""
