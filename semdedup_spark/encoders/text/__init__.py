"""Encoders of text: tokens, windows, and the models of each library."""
