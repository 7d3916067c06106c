"""What queries tell of a finished job, as plain data: no Spark, no storage, bounded in size."""
