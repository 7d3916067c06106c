"""Start a session and end it. The first start downloads Delta's jars: no later command has to."""

from semdedup_spark.session.spark_session import open_session

if __name__ == "__main__":
    open_session().stop()
