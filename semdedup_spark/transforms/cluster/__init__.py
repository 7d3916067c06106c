"""DataFrames of the stage cluster."""
