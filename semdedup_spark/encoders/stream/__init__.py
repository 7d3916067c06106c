"""Turn payloads into vectors batch by batch. All encoders share this."""
