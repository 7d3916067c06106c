"""Whole jobs and commands need Spark, also those that end before a JVM starts."""

from tests.conftest import HAS_PYSPARK

collect_ignore_glob = [] if HAS_PYSPARK else ["test_*.py"]
