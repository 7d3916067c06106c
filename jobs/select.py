"""spark-submit entry point of the stage `select`: the same arguments as `semdedup select`."""

import sys

from semdedup_spark.cli import main

if __name__ == "__main__":
    main(["select", *sys.argv[1:]])
