"""Every change of a table of the output."""
