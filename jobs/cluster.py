"""spark-submit entry point of the stage `cluster`: the same arguments as `semdedup cluster`."""

import sys

from semdedup_spark.cli import main

if __name__ == "__main__":
    main(["cluster", *sys.argv[1:]])
