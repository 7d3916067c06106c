"""Queries: they read an output and write no table."""
