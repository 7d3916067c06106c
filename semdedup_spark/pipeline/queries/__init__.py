"""What reads an output and writes no table."""
