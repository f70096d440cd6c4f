"""The commands of `edgewright-builder`, one a file; torch is imported only while they run."""
