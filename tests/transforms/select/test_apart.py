"""Rows that are kept apart from one row, and go for another one that stays."""

import pyarrow as pa

from semdedup_spark.transforms.select.apart import in_rank_order


def decided(*edges):
    columns = [pa.array(column) for column in zip(*edges, strict=True)]
    names = ["id", "survivor_id", "similarity", "among"]
    whole = pa.RecordBatch.from_arrays(columns, names=names)
    batches = [whole.slice(i, 2) for i in range(0, whole.num_rows, 2)]  # as several Arrow batches
    found = [batch.to_pylist() for batch in in_rank_order(batches)]
    return {row["id"]: row["survivor_id"] for rows in found for row in rows}


def test_each_row_goes_for_its_best_row_that_itself_stays():
    edges = [
        (3, 1, 0.99, False),  # 3 goes
        (4, 3, 0.98, True),  # so it cannot stand for 4,
        (4, 1, 0.97, False),  # but 1 can
        (5, 3, 0.96, True),  # and nobody for 5,
        (6, 5, 0.95, True),  # which stays, and stands for 6
    ]
    assert decided(*edges) == {3: 1, 4: 1, 6: 5}


def test_rows_of_a_reference_with_the_ids_of_removed_rows_are_other_rows():
    assert decided((3, 9, 0.99, False), (5, 3, 0.98, False)) == {3: 9, 5: 3}
