"""Pre-trained models behind one Protocol: payloads in, vectors out. No Spark, no storage."""
