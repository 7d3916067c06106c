"""A job's tables in the formats that training code reads, written bit by bit, without Spark."""
