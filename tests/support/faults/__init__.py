"""Power cuts, broken disks and wrong clocks, done to the programs' real code."""
