"""Each row stands for as many rows as `assignment` says, in a map-style dataset and in a stream."""

from __future__ import annotations

import pickle
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from torch.utils.data import DataLoader

deltalake = pytest.importorskip("deltalake")

from semdedup_spark.errors import SourceError  # noqa: E402
from semdedup_spark.torch import DeduplicatedDataset, DeduplicatedStream  # noqa: E402

N = 700
KEPT = [i for i in range(1200) if i % 12 < 7]  # 700 of 1,200 rows
assert len(KEPT) == N


def copies(i):
    return 1 if i % 3 else i % 5 + 1


@pytest.fixture(scope="module", params=["whole numbers", "strings"])
def lake(request, tmp_path_factory):
    """(kept rows in several files and row groups, assignment), with the ids in another order."""
    name = int if request.param == "whole numbers" else "row-{:04d}".format
    kept, assignment = (str(tmp_path_factory.mktemp("lake") / t) for t in ("kept", "assignment"))
    for part in (KEPT[600:], KEPT[:250][::-1], KEPT[250:600]):
        rows = pa.table({"doc_id": list(map(name, part)), "number": part})
        properties = deltalake.WriterProperties(max_row_group_size=128)
        deltalake.write_deltalake(kept, rows, mode="append", writer_properties=properties)
    of_all = [copies(i) if i % 12 < 7 else None for i in range(1200)][::-1]
    ids = pa.array([name(i) for i in range(1200)][::-1])
    deltalake.write_deltalake(assignment, pa.table({"id": ids, "copies": of_all}))
    return kept, assignment


def of_stream(lake, workers=0, **options):
    kept, assignment = lake
    stream = DeduplicatedStream(
        kept, key="doc_id", assignment=assignment, columns=["number"], window=16, **options
    )
    loader = DataLoader(stream, batch_size=8, collate_fn=list, num_workers=workers)
    return [row for batch in loader for row in batch]


def test_the_table_has_row_groups_of_several_lengths(lake):
    files = deltalake.DeltaTable(lake[0]).file_uris()
    assert sum(pq.ParquetFile(file).num_row_groups for file in files) > len(files) == 3


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize(("world", "workers"), [(1, 0), (1, 1), (1, 3), (2, 2), (3, 0)])
def test_a_stream_gives_the_same_copies_as_the_map_style_dataset(lake, world, workers, shuffle):
    kept, assignment = lake
    rows = DeduplicatedDataset(kept, key="doc_id", assignment=assignment, columns=["number"])
    expected = {row["number"]: row["copies"] for row in rows}
    assert expected == {i: copies(i) for i in KEPT}
    found = [
        row
        for rank in range(world)
        for row in of_stream(lake, workers, rank=rank, world=world, shuffle=shuffle)
    ]
    assert all(type(row["copies"]) is int and set(row) == {"number", "copies"} for row in found)
    pairs = Counter((row["number"], row["copies"]) for row in found)
    assert pairs == Counter(expected.items())


def test_copies_stay_with_their_rows_in_later_epochs_and_after_resuming(lake):
    kept, assignment = lake
    stream = DeduplicatedStream(kept, key="doc_id", assignment=assignment, seed=3)
    for epoch in (1, 2):
        stream.set_epoch(epoch)
        assert all(row["copies"] == copies(row["number"]) for row in stream)
    whole = list(pickle.loads(pickle.dumps(stream)))
    stream.resume_after(epoch=2, batches=30, batch_size=8, num_workers=0)
    assert list(stream) == whole[240:]


def test_a_transform_of_a_stream_gets_the_copies(lake):
    kept, assignment = lake
    stream = DeduplicatedStream(
        kept, key="doc_id", assignment=assignment, transform=lambda row: row["copies"]
    )
    assert sum(stream) == sum(map(copies, KEPT))


def test_a_stream_holds_nothing_for_rows_that_stand_for_themselves(lake):
    kept, assignment = lake
    one = DeduplicatedStream(kept)
    weighted = DeduplicatedStream(kept, key="doc_id", assignment=assignment)
    many = sum(copies(i) > 1 for i in KEPT)
    more = len(pickle.dumps(weighted)) - len(pickle.dumps(one))
    assert 16 * many <= more < 16 * many + 1000


@pytest.mark.parametrize("loader", [DeduplicatedDataset, DeduplicatedStream])
def test_what_is_no_id_and_what_is_not_kept_are_refused_alike(lake, loader, tmp_path):
    kept, assignment = lake
    with pytest.raises(ValueError, match=r"key must name the column of the ids .* Got none"):
        loader(kept, assignment=assignment)
    with pytest.raises(SourceError, match="lacks doc; its columns are doc_id, number"):
        loader(kept, key="doc", assignment=assignment)
    with pytest.raises(SourceError, match="lacks id, copies; its columns are doc_id, number"):
        loader(kept, key="doc_id", assignment=kept)
    with pytest.raises(SourceError, match="must be a Delta table"):
        loader(kept, key="doc_id", assignment=str(tmp_path))
    others = pa.table({"id": ["a", "b", None], "label": [-1, -2, -3]})
    deltalake.write_deltalake(tmp_path / "others", others)
    for key in ("id", "label"):
        with pytest.raises(SourceError, match=rf"of 3 are not: '{key}' holds no ids"):
            loader(str(tmp_path / "others"), key=key, assignment=assignment)


@pytest.mark.parametrize("loader", [DeduplicatedDataset, DeduplicatedStream])
def test_a_table_of_another_selection_is_refused(lake, loader, tmp_path):
    kept, assignment = lake
    known = deltalake.DeltaTable(assignment).to_pyarrow_table()
    deltalake.write_deltalake(tmp_path / "assignment", known.slice(0, 1200 - 24))
    with pytest.raises(SourceError, match="14 of 700 are not: 'doc_id' holds no ids, or the table"):
        loader(kept, key="doc_id", assignment=str(tmp_path / "assignment"))
