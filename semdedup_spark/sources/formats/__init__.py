"""One module for each format that is more than a table."""
