"""DataFrames of the stage select."""
