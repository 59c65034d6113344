"""Training: the only room (with study and cluster) that knows torch."""
