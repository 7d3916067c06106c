"""spark-submit entry point of pruning by cluster: the same arguments as `semdedup prune`."""

import sys

from semdedup_spark.cli import main

if __name__ == "__main__":
    main(["prune", *sys.argv[1:]])
