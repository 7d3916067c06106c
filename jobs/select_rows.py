"""spark-submit entry point of the stage `select`: the same arguments as `semdedup select`.

Not named select.py: spark-submit puts this folder first on the path, where that name would hide
Python's own module `select`.
"""

import sys

from semdedup_spark.cli import main

if __name__ == "__main__":
    main(["select", *sys.argv[1:]])
