"""Chooses the rows that stay: chains of neighbors, connected components, greedy cover."""
