"""Pre-trained models behind one protocol: payloads in, vectors out. No Spark and no storage."""
