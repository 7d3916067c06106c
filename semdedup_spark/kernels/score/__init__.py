"""Comparing the rows of clusters: units, similarities, borders."""
