"""What is done to an output that is there."""
