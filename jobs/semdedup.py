"""spark-submit entry point of the command line: `semdedup.py run --config job.yml`.

Without a command it is `run`.
"""

import sys

from semdedup_spark.cli import main

if __name__ == "__main__":
    arguments = sys.argv[1:]
    is_run = arguments[:1] in (["--config"], ["--set"], ["--run-id"])
    main(["run", *arguments] if is_run else arguments)
