"""spark-submit entry point of the stage `embed`: the same arguments as `semdedup embed`."""

import sys

from semdedup_spark.cli import main

if __name__ == "__main__":
    main(["embed", *sys.argv[1:]])
