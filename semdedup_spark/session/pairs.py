"""The pairs of Spark and Delta that the tests run on: messages, documentation and `make test-spark`
read this table. tests/test_project_files.py compares it with the extras and with CI.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Pair(NamedTuple):
    """A Spark and the Delta that is made for it.

    Attributes
    ----------
    spark
        The line of Spark, such as ``4.1``.
    pyspark
        The version of it that the tests run on.
    delta
        The version of ``delta-spark``. Of some other versions there are no jars.
    """

    spark: str
    pyspark: str
    delta: str

    @property
    def extra(self) -> str:
        """The extra that installs the pair."""
        return f"spark{self.spark.replace('.', '')}"

    @property
    def package(self) -> str:
        """The jars, as ``spark-submit --packages`` takes them."""
        scala = "2.12" if self.spark == "3.5" else f"{self.spark}_2.13"
        return f"io.delta:delta-spark_{scala}:{self.delta}"


PAIRS = (
    # From Spark 3.5.6 on, Delta 3.3 cannot replace a table of a catalog.
    Pair("3.5", "3.5.5", "3.3.2"),
    Pair("4.0", "4.0.5", "4.3.1"),
    Pair("4.1", "4.1.1", "4.3.1"),
    Pair("4.2", "4.2.0", "4.4.0"),
)
# What the extra `spark` installs: the newest pair that all tests run on.
DEFAULT = PAIRS[2]


def pair_of(pyspark: str) -> Pair | None:
    """Look up the pair that a version of Spark belongs to.

    Parameters
    ----------
    pyspark
        A version of pyspark, such as ``4.1.1``, or the line alone.

    Returns
    -------
    Pair | None
        ``None`` where no Spark of that line is tested.
    """
    line = ".".join(pyspark.split(".")[:2])
    return next((pair for pair in PAIRS if pair.spark == line), None)


def what_fits(pyspark: str, delta: str) -> str | None:
    """Say what to install where another Spark and Delta are installed than a pair that is tested.

    Parameters
    ----------
    pyspark
        The version of pyspark that is installed.
    delta
        The version of delta-spark that is installed.

    Returns
    -------
    str | None
        ``None`` if they are a pair. An earlier repair of that Spark counts, a later one does not:
        a Delta is made for the inside of Spark, and later repairs have changed it.
    """
    pair = pair_of(pyspark)
    if pair is None:
        lines = ", ".join(each.spark for each in PAIRS)
        return f"pip install 'semdedup-spark[{DEFAULT.extra}]', or another pair: Spark {lines}."
    if delta == pair.delta and _repair(pyspark) <= _repair(pair.pyspark):
        return None
    return (
        f"pip install 'semdedup-spark[{pair.extra}]': "
        f"pyspark {pair.pyspark} and delta-spark {pair.delta} go together."
    )


def _repair(version: str) -> int:
    return int((re.findall(r"\d+", version) + ["0"] * 3)[2])
