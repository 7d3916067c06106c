"""DataFrames of the commands that write no table."""
