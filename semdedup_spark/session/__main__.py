"""Prepare this machine: Delta's jars are downloaded, and the classes of Spark are archived. Later
commands need no network to start, and start in less time.
"""

from semdedup_spark.session.class_archive import make_archive
from semdedup_spark.session.java import require_java
from semdedup_spark.session.spark_session import open_session

if __name__ == "__main__":
    open_session().stop()
    make_archive(require_java())
