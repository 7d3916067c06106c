"""Array arithmetic: numpy in, numpy out. Nothing here knows Spark, storage or configuration."""
