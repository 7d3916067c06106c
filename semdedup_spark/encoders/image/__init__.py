"""Encoders of images: decoding, preprocessing, and the models of each library."""
