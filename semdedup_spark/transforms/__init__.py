"""DataFrame to DataFrame: rows are lent to kernels and come back. Nothing is read or written."""
