"""k-means: training, assignment, and what it will cost."""
