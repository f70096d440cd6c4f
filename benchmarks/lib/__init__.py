"""What the benchmarks are made of: contenders, rounds of timing, accuracy, tables."""
