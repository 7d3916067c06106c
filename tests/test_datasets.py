"""Data sets by name: real files, the layouts people have, and what is said where there is none."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from semdedup_spark.datasets import load_images
from semdedup_spark.datasets.pictures import picture_rows, to_png, write_pictures
from semdedup_spark.errors import ConfigError, SourceError


def write_idx(path, array):
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "wb") as file:
        file.write(header + array.tobytes())


def small_set(folder, prefix="train", ending=".gz", n=30):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (n, 28, 28), dtype=np.uint8)
    labels = rng.integers(0, 10, n, dtype=np.uint8)
    write_idx(folder / f"{prefix}-images-idx3-ubyte{ending}", pixels)
    write_idx(folder / f"{prefix}-labels-idx1-ubyte{ending}", labels)
    return pixels, labels


@pytest.mark.parametrize(
    ("name", "folder", "ending"),
    [("mnist", ".", ".gz"), ("fmnist", "fashion_mnist", ".gz"), ("mnist", "MNIST/raw", "")],
)
def test_idx_files_are_found_where_people_and_torchvision_put_them(tmp_path, name, folder, ending):
    pixels, labels = small_set(tmp_path / folder, ending=ending)
    images = load_images(name, tmp_path, "train", fetch=False)
    assert np.array_equal(images.pixels, pixels)
    assert images.labels.tolist() == labels.tolist()


def test_two_sets_under_one_root_are_not_taken_for_each_other(tmp_path):
    small_set(tmp_path / "mnist", n=30)
    small_set(tmp_path, n=20)
    small_set(tmp_path / "fashion_mnist", n=25)
    (tmp_path / "mnist" / "train-labels-idx1-ubyte.gz").unlink()  # its pictures alone are no set
    assert len(load_images("mnist", tmp_path, "train", fetch=False)) == 20
    assert len(load_images("fmnist", tmp_path, "train", fetch=False)) == 25
    assert len(load_images("fmnist", tmp_path / "fashion_mnist", "train", fetch=False)) == 25
    with pytest.raises(SourceError, match="must hold the train split of mnist"):
        load_images("mnist", tmp_path / "fashion_mnist", "train", fetch=False)


def test_the_real_test_split_of_fashion_mnist_has_a_thousand_of_each_class(shared_data):
    images = load_images("fmnist", shared_data / "fashion_mnist", "test", fetch=False)
    assert images.pixels.shape == (10_000, 28, 28)
    assert np.bincount(images.labels).tolist() == [1000] * 10


def test_cifar10_from_parquet_comes_in_its_original_order(shared_data):
    images = load_images("cifar10", shared_data, "test", fetch=False)
    assert images.pixels.shape == (10_000, 32, 32, 3)
    table = pq.read_table(
        shared_data / "cifar10" / "cifar10_jpeg_60000.parquet",
        columns=["split", "cifar_index", "label", "image"],
    ).to_pylist()
    row = next(r for r in table if r["split"] == "test" and r["cifar_index"] == 77)
    assert images.labels[77] == row["label"]
    with Image.open(io.BytesIO(row["image"])) as image:
        assert np.array_equal(images.pixels[77], np.asarray(image.convert("RGB")))


def test_cifar10_as_hugging_face_writes_it(tmp_path):
    picture = np.arange(32 * 32 * 3, dtype=np.uint8).reshape(32, 32, 3)
    images = pa.array([{"bytes": to_png(picture), "path": None}] * 2)
    pq.write_table(pa.table({"img": images, "label": [3, 5]}), tmp_path / "train-0.parquet")
    found = load_images("cifar10", tmp_path, "train", fetch=False)
    assert found.labels.tolist() == [3, 5]
    assert np.array_equal(found.pixels[1], picture)


def test_missing_files_are_named_with_where_they_were_looked_for_and_what_there_is(tmp_path):
    small_set(tmp_path, prefix="t10k")
    with pytest.raises(SourceError, match=r"train-images-idx3-ubyte\.gz") as raised:
        load_images("mnist", tmp_path, "train", fetch=False)
    assert str(tmp_path) in str(raised.value)
    assert "--split test" in str(raised.value)


def test_a_failed_download_is_told_in_its_own_words(tmp_path, monkeypatch):
    torchvision = pytest.importorskip("torchvision")

    def offline(*_args, **_options):
        raise OSError("Temporary failure in name resolution")

    monkeypatch.setattr(torchvision.datasets, "MNIST", offline)
    with pytest.raises(SourceError, match="OSError: Temporary failure in name resolution"):
        load_images("mnist", tmp_path, "train")


def test_an_unknown_name_and_a_damaged_file_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="mnist, fmnist, cifar10"):
        load_images("imagenet", tmp_path, "train", fetch=False)
    small_set(tmp_path)
    file = tmp_path / "train-images-idx3-ubyte.gz"
    file.write_bytes(file.read_bytes()[:2000])
    with pytest.raises(SourceError, match="readable idx file"):
        load_images("mnist", tmp_path, "train", fetch=False)


@pytest.mark.parametrize("damage", [lambda b: b[:20] + b"\xff" * 40 + b[60:], lambda b: b[:12]])
def test_bytes_that_do_not_unpack_are_told_like_any_other_damage(tmp_path, damage):
    small_set(tmp_path)
    file = tmp_path / "train-images-idx3-ubyte.gz"
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(SourceError, match="idx"):
        load_images("mnist", tmp_path, "train", fetch=False)
    small_set(tmp_path, ending="")
    file.unlink()
    (tmp_path / "train-images-idx3-ubyte").write_bytes(bytes([0, 0, 8, 3, 0, 0]))
    with pytest.raises(SourceError, match="whole header"):
        load_images("mnist", tmp_path, "train", fetch=False)


def test_a_folder_of_torchvision_that_is_not_whole_is_told_and_parquet_without_rows_is_none(
    tmp_path,
):
    pytest.importorskip("torchvision")
    (tmp_path / "cifar-10-batches-py").mkdir()
    table = pa.table({"img": [b"x"], "label": [3], "split": ["test"]})
    pq.write_table(table, tmp_path / "all.parquet")
    with pytest.raises(SourceError, match="as torchvision unpacks it"):
        load_images("cifar10", tmp_path, "train", fetch=False)


def test_what_torchvision_has_unpacked_or_downloads_is_read(tmp_path, monkeypatch):
    datasets = pytest.importorskip("torchvision.datasets")
    pixels = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)

    class Unpacked:
        data, targets = pixels, [2, 0, 1]

        def __init__(self, root, *, train):
            assert (Path(root), train) == (tmp_path / "cifar10", False)

    monkeypatch.setattr(datasets, "CIFAR10", Unpacked)
    (tmp_path / "cifar10" / "cifar-10-batches-py").mkdir(parents=True)
    found = load_images("cifar10", tmp_path, "test", fetch=False)
    assert np.array_equal(found.pixels, pixels)
    assert found.labels.tolist() == [2, 0, 1]

    def fetched(root, *, download):
        assert download
        small_set(Path(root) / "FashionMNIST" / "raw", ending="")

    monkeypatch.setattr(datasets, "FashionMNIST", fetched)
    assert len(load_images("fmnist", tmp_path, "train")) == 30


def test_parquet_that_is_damaged_or_holds_other_pictures_is_told(tmp_path):
    wrong = to_png(np.zeros((28, 28, 3), np.uint8))
    pq.write_table(pa.table({"img": [wrong], "label": [3]}), tmp_path / "train-0.parquet")
    with pytest.raises(SourceError, match="32 x 32"):
        load_images("cifar10", tmp_path, "train", fetch=False)
    (tmp_path / "train-0.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(SourceError, match="readable Parquet"):
        load_images("cifar10", tmp_path, "train", fetch=False)


def test_a_smaller_sample_is_part_of_a_larger_one_and_keeps_pictures_and_labels_together(tmp_path):
    pixels, labels = small_set(tmp_path)
    images = load_images("mnist", tmp_path, "train", fetch=False)
    small, large = images.sample(5), images.sample(20)
    assert set(small.index) < set(large.index)
    assert np.array_equal(large.pixels, pixels[large.index])
    assert np.array_equal(large.labels, labels[large.index])


def test_pictures_are_written_without_loss_and_once(tmp_path):
    pixels, labels = small_set(tmp_path)
    images = load_images("mnist", tmp_path, "train", fetch=False)
    file = tmp_path / "out" / "pictures.parquet"
    write_pictures(images, file)
    first = file.stat().st_mtime_ns
    write_pictures(images, file)
    assert file.stat().st_mtime_ns == first
    rows = pq.read_table(file).to_pylist()
    assert [row["label"] for row in rows] == labels.tolist()
    with Image.open(io.BytesIO(rows[7]["image"])) as image:
        assert np.array_equal(np.asarray(image), pixels[7])
    write_pictures(images.take([0, 1]), file)
    assert pq.read_table(file)["id"].to_pylist() == ["train-00000", "train-00001"]
    assert picture_rows(images)["id"][29].as_py() == "train-00029"
