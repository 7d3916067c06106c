"""Payloads to vectors, batch by batch: what all encoders share."""
