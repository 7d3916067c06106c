"""Print the versions to test one Spark with: `python -m scripts.spark_pair 3.5`.

Those of constraints.txt, with the pair in place of the Spark, the Delta and what only they pin.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from semdedup_spark.session.pairs import PAIRS

_CONSTRAINTS = Path(__file__).parents[1] / "constraints.txt"
_OF_SPARK = re.compile(r"(pyspark|delta[-_]spark|py4j|importlib[-_]metadata)==", re.IGNORECASE)


def constraints(spark: str) -> str:
    """Write a file for ``pip install --constraint``.

    Parameters
    ----------
    spark
        The line of Spark, such as ``3.5``.

    Returns
    -------
    str
        The lines.

    Raises
    ------
    ValueError
        No such Spark is tested.
    """
    pair = {each.spark: each for each in PAIRS}.get(spark)
    if pair is None:
        raise ValueError(f"VERSION must be {', '.join(each.spark for each in PAIRS)}. Got {spark}.")
    lines = _CONSTRAINTS.read_text(encoding="utf-8").splitlines()
    others = [line for line in lines if not _OF_SPARK.match(line)]
    return "\n".join([*others, f"pyspark=={pair.pyspark}", f"delta-spark=={pair.delta}", ""])


if __name__ == "__main__":
    try:
        print(constraints("".join(sys.argv[1:])), end="")  # noqa: T201
    except ValueError as error:
        sys.exit(f"make: {error}")
