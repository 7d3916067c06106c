"""The training sweep of Heo & Chen: what a selection is worth to a small model."""
