"""Readers of the source formats that Spark cannot read as a plain table."""
