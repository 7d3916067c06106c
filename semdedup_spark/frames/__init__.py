"""DataFrame in, DataFrame out: ``deduplicate``, its results, and the stages one by one."""
