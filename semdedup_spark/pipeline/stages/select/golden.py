"""Pairs that a selection must merge, or must not: a regression test for data."""

from __future__ import annotations

import csv
import hashlib
import io
from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DataType

from semdedup_spark import schema as s
from semdedup_spark.errors import ConfigError, GuardError, SourceError
from semdedup_spark.paths import open_stream
from semdedup_spark.pipeline.ids import parse_ids
from semdedup_spark.pipeline.job_context import Job
from semdedup_spark.tables.catalog import read_table
from semdedup_spark.tables.literal_rows import cast_or_null

# The setting, and the input of a selection that tells one file from another.
GOLDEN = "golden"
MOST_PAIRS = 10_000
_COLUMNS = ("id", "other_id", "expect")
_EXPECTED = {"merge": True, "apart": False}
_SHOWN = 5


@dataclass(frozen=True)
class Golden:
    """The pairs of a file.

    Attributes
    ----------
    pairs
        For each pair two ids as text, and whether the rows must be merged.
    digest
        SHA-256 of the file: another file is another condition.
    """

    pairs: tuple[tuple[str, str, bool], ...]
    digest: str

    def as_input(self) -> dict[str, str]:
        """Tell one file from another among the inputs of a selection.

        Returns
        -------
        dict[str, str]
            One input.
        """
        return {GOLDEN: self.digest}


def read_golden(path: str) -> Golden:
    """Read the file that ``select.golden`` names.

    Parameters
    ----------
    path
        A CSV file in UTF-8 with the columns id, other_id and expect, which is ``merge`` or
        ``apart``. At most ``MOST_PAIRS`` lines.

    Returns
    -------
    Golden
        Its pairs.

    Raises
    ------
    ConfigError
        The file cannot be read, or a line is wrong.
    """
    try:
        with open_stream(path, option="select.golden") as stream:
            data = stream.read()
        lines = list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))
    except (OSError, UnicodeDecodeError, csv.Error, SourceError) as error:
        raise ConfigError(
            f"select.golden must be a readable CSV file in UTF-8. Got {path!r}: {error}."
        ) from error
    if not 0 < len(lines) <= MOST_PAIRS:
        raise ConfigError(
            f"select.golden must have 1 to {MOST_PAIRS:,} pairs. Got {len(lines):,} in {path!r}."
        )
    for number, line in enumerate(lines, 1):
        if any(line.get(name) is None for name in _COLUMNS) or line["expect"] not in _EXPECTED:
            raise ConfigError(
                f"select.golden must have the columns {', '.join(_COLUMNS)}, and merge or apart as "
                f"what is expected. Not so: pair {number} of {path!r}."
            )
    pairs = tuple((line["id"], line["other_id"], _EXPECTED[line["expect"]]) for line in lines)
    return Golden(pairs, hashlib.sha256(data).hexdigest())


def check_ids(golden: Golden, kind: DataType) -> None:
    """Check that the pairs can be rows of the source, and of its reference, whose ids have the same
    type. What it calls raises :class:`InvalidIdError`.

    Parameters
    ----------
    golden
        The pairs.
    kind
        Type of the ids.
    """
    parse_ids([each for pair in golden.pairs for each in pair[:2]], kind, option="select.golden")


def check_golden(
    job: Job, golden: Golden, removed: DataFrame, embeddings: DataFrame
) -> dict[str, int]:
    """Check the pairs against a selection that is not written yet. Two rows are merged where one
    row stands for both, or one of them for the other.

    Parameters
    ----------
    job
        The job. With a reference, the other row of a pair is one of the reference.
    golden
        The pairs.
    removed
        Columns id and survivor_id: the rows that would be removed.
    embeddings
        Column id.

    Returns
    -------
    dict[str, int]
        How many pairs were checked, and how many could not be, because a row is not there.

    Raises
    ------
    GuardError
        A pair is not as it must be.
    """
    own = embeddings.schema[s.ID].dataType
    other = removed.schema[s.SURVIVOR_ID].dataType
    check_ids(golden, own)
    lines = [(i, *pair) for i, pair in enumerate(golden.pairs)]
    given = job.spark.createDataFrame(lines, "at int, a string, b string, merged boolean")
    pairs = given.select(
        "at",
        cast_or_null("a", own).alias("a"),
        cast_or_null("b", other).alias("b"),
        "merged",
    )
    known = pairs.join(embeddings.select(F.col(s.ID).alias("a")), "a", "semi")
    groups = removed.select(s.ID, s.SURVIVOR_ID)
    known = _with_survivor(known, groups, "a")
    if job.config.reference is None:
        known = known.join(embeddings.select(F.col(s.ID).alias("b")), "b", "semi")
        known = _with_survivor(known, groups, "b")
        is_merged = F.coalesce("survivor_a", "a") == F.coalesce("survivor_b", "b")
    else:
        rows = read_table(job.spark, job.root, s.REFERENCE).select(F.col(s.ID).alias("b"))
        known = known.join(rows, "b", "semi")
        is_merged = F.coalesce(F.col("survivor_a") == F.col("b"), F.lit(False))
    broken = is_merged != F.col("merged")
    checked = known.select("at", broken.alias("broken")).collect()  # MOST_PAIRS at most
    wrong = sorted(row["at"] for row in checked if row["broken"])
    if wrong:
        raise GuardError(_told(golden, wrong, len(checked)), hint=_HINT)
    return {"golden": len(checked), "golden_absent": len(golden.pairs) - len(checked)}


_HINT = (
    "nothing was written. `semdedup explain --id ID` tells what the last selection did with a row; "
    "mend the threshold, or the file if it is outdated."
)


def _with_survivor(pairs: DataFrame, groups: DataFrame, side: str) -> DataFrame:
    named = groups.select(F.col(s.ID).alias(side), F.col(s.SURVIVOR_ID).alias(f"survivor_{side}"))
    return pairs.join(named, side, "left")


def _told(golden: Golden, wrong: list[int], n: int) -> str:
    said = []
    for at in wrong[:_SHOWN]:
        a, b, merged = golden.pairs[at]
        said.append(f"{a!r} and {b!r} would {'stay apart' if merged else 'be merged'}")
    more = "; and others" if len(wrong) > _SHOWN else ""
    return (
        f"all pairs of select.golden must be as the file expects. {len(wrong):,} of {n:,} are not: "
        f"{'; '.join(said)}{more}."
    )
