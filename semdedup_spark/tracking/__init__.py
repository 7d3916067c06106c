"""Runs of a job in a system that keeps track of experiments."""
