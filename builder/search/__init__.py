"""The search for the fastest variant within an accuracy bar, and for the Pareto front."""
