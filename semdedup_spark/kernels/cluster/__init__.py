"""Spherical k-means: training, assignment, and their cost."""
