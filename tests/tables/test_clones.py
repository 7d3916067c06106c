"""A clone shows the chosen rows of another table, whatever that table is like."""

import pytest

from semdedup_spark.errors import ReconciliationError
from semdedup_spark.tables.catalog import OutputRoot, read_table
from semdedup_spark.tables.commits.clones import Chosen, Original, clone_chosen
from semdedup_spark.tables.commits.write import replace_table
from semdedup_spark.tables.marks import StageMark
from semdedup_spark.tables.states import table_state

# The name of a run may be any text.
MARKS = [StageMark(run, "select", "key") for run in ("it's ${user} `1`", "ü", "3")]
PLAIN = {"delta.appendOnly": "true", "delta.enableChangeDataFeed": "true"}
DELETION_VECTORS = {"delta.enableDeletionVectors": "true"}
MAPPED = {**DELETION_VECTORS, "delta.columnMapping.mode": "name"}


@pytest.fixture
def root(spark, tmp_path):
    """Of an output that keeps the even ones of the ids 0 to 19."""
    root = OutputRoot.parse(str(tmp_path / "out"))
    rows = spark.range(20).selectExpr("id", "id % 2 = 0 AS kept")
    replace_table(rows, root, "assignment", MARKS[0])
    return root


@pytest.fixture
def original(spark, tmp_path):
    """Makes a table of the ids 0 to 18, and one row without an id."""

    def made(name, properties, partitions=()):
        rows = spark.range(20).selectExpr(
            "nullif(id, 19) AS `k-1`", "id % 3 AS part", "'x' AS note"
        )
        writer = rows.coalesce(2).write.format("delta").options(**properties)
        writer.partitionBy(*partitions).save(str(tmp_path / name))
        spark.sql(f"ALTER TABLE delta.`{tmp_path}/{name}` ADD CONSTRAINT c CHECK (part < 3)")
        mapping = properties.get("delta.columnMapping.mode", "none")
        return Original(f"delta.`{tmp_path}/{name}`", 1, "k-1", mapping)

    return made


def cloned(spark, root, of, mark):
    commit = clone_chosen(spark, root, "cloned_1", of, Chosen("assignment", 0), mark)
    found = read_table(spark, root, "cloned_1", commit.version)
    assert table_state(spark, root, "cloned_1").mark == mark
    assert commit.rows == found.count()
    return sorted(row["k-1"] for row in found.collect())


def test_tables_of_any_kind_are_cloned_one_after_the_other_into_the_same_place(
    spark, root, original
):
    kinds = [("plain", PLAIN), ("parted", DELETION_VECTORS, ["part"]), ("mapped", MAPPED)]
    for kind, mark in zip(kinds, MARKS, strict=True):
        of = original(*kind)
        assert cloned(spark, root, of, mark) == list(range(0, 20, 2)), kind
    spark.sql(f"DELETE FROM {of.name} WHERE `k-1` < 5")
    assert cloned(spark, root, of, MARKS[0]) == list(range(0, 20, 2))  # of the version before


def test_whoever_changes_a_clone_takes_its_mark_away_and_maintenance_does_not(
    spark, root, original
):
    of, name = original("plain", PLAIN), root.name("cloned_1")
    cloned(spark, root, of, MARKS[0])
    spark.sql(f"ALTER TABLE {name} SET TBLPROPERTIES ('a' = 'b')")
    assert table_state(spark, root, "cloned_1").mark == MARKS[0]
    spark.sql(
        f"MERGE INTO {name} t USING {of.name} o ON t.`k-1` = o.`k-1` WHEN MATCHED THEN DELETE"
    )
    assert table_state(spark, root, "cloned_1") is None


def test_a_clone_with_other_rows_than_the_chosen_ones_is_refused_and_has_no_mark(
    spark, root, original
):
    of = original("plain", {})
    spark.sql(f"INSERT INTO {of.name} VALUES (4, 1, 'once more')")
    twice = Original(of.name, 2, of.key, of.column_mapping)
    with pytest.raises(ReconciliationError, match=r"10 rows that are kept\. It has 11"):
        cloned(spark, root, twice, MARKS[0])
    assert table_state(spark, root, "cloned_1") is None
