"""Export a job's tables to formats that training code reads, in bounded memory, without Spark."""
