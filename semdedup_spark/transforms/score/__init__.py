"""DataFrames of the stage score."""
