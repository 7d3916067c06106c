"""``python -m semdedup_spark``: the same as ``semdedup``."""

from semdedup_spark.cli import main

if __name__ == "__main__":
    main()
