"""The training sweep of Heo & Chen, which measures what a model learns from a selection."""
