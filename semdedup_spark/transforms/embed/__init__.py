"""DataFrames of the stage embed."""
