import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from semdedup_spark.errors import ConfigError
from semdedup_spark.tables.centroid_files import CentroidFiles
from semdedup_spark.tables.named_table import NamedTable


def write(path, ids, X, cells=None):
    columns = {
        "cluster_id": pa.array(ids, pa.int32()),
        "centroid": pa.array(X.tolist(), pa.list_(pa.float32())),
        "cell_id": pa.array(cells or [None] * len(ids), pa.int32()),
    }
    pq.write_table(pa.table(columns), path)
    return str(path)


def test_files_in_any_order_hold_the_centroids_by_their_ids(tmp_path):
    X = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)
    ids = [3, 0, 4]
    files = (
        write(tmp_path / "a b.parquet", ids, X[ids], [1, 0, 1]),
        "file:" + write(tmp_path / "b.parquet", [2, 1], X[[2, 1]], [0, 0]),
    )
    held, cells = CentroidFiles(files, 5, 3).load()
    assert held.tolist() == X.tolist()
    assert cells.tolist() == [0, 0, 0, 1, 1]


def test_with_one_level_there_are_no_cells_and_missing_clusters_are_an_error(tmp_path):
    files = (write(tmp_path / "a.parquet", [0, 1], np.eye(2, dtype=np.float32)),)
    assert CentroidFiles(files, 2, 2).load()[1] is None
    with pytest.raises(ValueError, match="must hold the clusters 0 to 2"):
        CentroidFiles(files, 3, 2).load()


@pytest.mark.parametrize(
    ("name", "root", "table", "version"),
    [
        ("/lake/dedup/centroids", "/lake/dedup", "centroids", None),
        ("/lake/dedup/centroids/@12", "/lake/dedup", "centroids", 12),
        ("s3a://bucket/a@b/centroids@3", "s3a://bucket/a@b", "centroids", 3),
        ("main.dedup.centroids@0", "main.dedup", "centroids", 0),
        ("main.dedup.centroids", "main.dedup", "centroids", None),
    ],
)
def test_a_table_is_named_by_place_and_version(name, root, table, version):
    named = NamedTable.parse(name)
    assert (named.root.location, named.table, named.version) == (root, table, version)


def test_half_a_catalog_name_is_an_error():
    with pytest.raises(ConfigError, match="catalog"):
        NamedTable.parse("dedup.centroids")
