"""Which variant suits a device, and why: pure decisions on measured figures."""
