"""spark-submit entry point of the command line: `semdedup.py run --config job.yml`.

Without a command it is `run`.
"""

import sys

from semdedup_spark.cli import main

if __name__ == "__main__":
    arguments = sys.argv[1:]
    is_option = bool(arguments) and arguments[0].startswith("-") and arguments[0] != "--help"
    main(["run", *arguments] if is_option else arguments)
