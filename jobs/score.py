"""spark-submit entry point of the stage `score`: the same arguments as `semdedup score`."""

import sys

from semdedup_spark.cli import main

if __name__ == "__main__":
    main(["score", *sys.argv[1:]])
