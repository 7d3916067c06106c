"""Comparison of the rows of clusters: work units, similarities, borders between clusters."""
