"""Pictures in memory: a folder, a list of files, or bytes in a column."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from semdedup_spark import deduplicate
from semdedup_spark.errors import ConfigError, SourceError

Image = pytest.importorskip("PIL.Image", reason="pictures need the extra images")


def encoded(seed, size=(96, 64), quality=95):
    """A smooth picture; those of one seed show the same."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    held = io.BytesIO()
    picture = Image.fromarray(coarse).resize((960, 640), Image.Resampling.BICUBIC).resize(size)
    picture.save(held, "JPEG", quality=quality)
    return held.getvalue()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three pictures, each also small; one file that is no picture, one empty, one hidden."""
    at = tmp_path_factory.mktemp("photos")
    for seed in range(3):
        (at / f"{seed}_small.jpg").write_bytes(encoded(seed, (48, 32), 80))
        (at / "below").mkdir(exist_ok=True)
        (at / "below" / f"{seed}.jpg").write_bytes(encoded(seed))
    (at / "bad.jpg").write_bytes(b"no picture")
    (at / "empty.jpg").write_bytes(b"")
    (at / ".hidden.jpg").write_bytes(encoded(9))
    return at


def names(files):
    return sorted(Path(file).name for file in files)


def test_of_a_folder_of_pictures_the_largest_file_of_each_group_stays(folder):
    result = deduplicate(folder, encoder="pixels", eps=0.002, rank_by="length DESC")
    assert names(result.kept) == ["0.jpg", "1.jpg", "2.jpg"]
    assert all(isinstance(file, Path) for file in result.kept)
    gone = result.removed.to_pydict()
    assert names(gone["id"]) == ["0_small.jpg", "1_small.jpg", "2_small.jpg"]
    assert names(gone["survivor_id"]) == names(result.kept)
    bad = dict(zip(*result.quarantined.to_pydict().values(), strict=True))
    assert {Path(file).name: reason for file, reason in bad.items()} == {
        "bad.jpg": "undecodable_image",
        "empty.jpg": "empty_image",
    }
    small = next(file for file in gone["id"] if file.endswith("0_small.jpg"))
    assert "0.jpg" in str(result.explain(small))
    assert result.explain(Path(small)) == result.explain(small)


def test_files_and_their_bytes_give_the_same(folder):
    files = sorted(file for file in folder.rglob("*.jpg") if not file.name.startswith("."))
    held = [file.read_bytes() for file in files]
    frame = pd.DataFrame({"name": [str(file) for file in files], "image": held})
    ways = [
        deduplicate(files, encoder="pixels", eps=0.002).assignment,
        deduplicate(frame, content="image", id="name", encoder="pixels", eps=0.002).assignment,
        deduplicate(
            pa.table(frame), content="image", id="name", encoder="pixels", eps=0.002
        ).assignment,
    ]
    first, *others = [way if isinstance(way, pd.DataFrame) else way.to_pandas() for way in ways]
    for other in others:
        pd.testing.assert_frame_equal(other, first)
    numbered = deduplicate(held, encoder="pixels", eps=0.002)
    assert numbered.kept == [value for value, kept in zip(held, first["kept"], strict=True) if kept]


def test_no_picture_can_be_given(folder):
    frame = pd.DataFrame({"image": [None, encoded(1), None]})
    result = deduplicate(frame, content="image", encoder="pixels", eps=0.002)
    assert len(result) == 1
    assert result.quarantined["reason"].tolist() == ["null_image", "null_image"]
    assert len(deduplicate([folder / "empty.jpg"], encoder="pixels")) == 0


def test_what_does_not_fit_is_refused_before_anything_is_read(folder):
    with pytest.raises(ConfigError, match=r"encoder must be one for pictures .*Got 'minilm'"):
        deduplicate(folder)
    with pytest.raises(SourceError, match=r"column of pictures.*Got string") as raised:
        deduplicate([str(folder / "0_small.jpg")], encoder="pixels")
    assert "pathlib.Path" in raised.value.hint
    with pytest.raises(SourceError, match=r"each file must be there. Got '.*/none.jpg', and 0"):
        deduplicate([folder / "none.jpg"], encoder="pixels")
    with pytest.raises(SourceError, match=r"all rows of a list must be files, or none"):
        deduplicate([folder / "0_small.jpg", "text"], encoder="pixels")
    with pytest.raises(SourceError, match=r"data must be .*Got PosixPath '.*/none'"):
        deduplicate(folder / "none", encoder="pixels")


def test_a_folder_without_pictures_is_refused_with_what_is_looked_for(tmp_path):
    with pytest.raises(
        SourceError, match=r"at least one picture\. Got .*holds no file\."
    ) as caught:
        deduplicate(tmp_path, encoder="pixels")
    assert ".jpg, .png" in caught.value.hint
    assert "name the folder" in caught.value.hint
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / ".hidden.jpg").write_bytes(encoded(1))
    with pytest.raises(SourceError, match=r"no file but 1 whose names begin with _ or a dot"):
        deduplicate(tmp_path, encoder="pixels")
    with pytest.raises(SourceError, match=r"no file but 1"):
        deduplicate([encoded(1)], reference=tmp_path, encoder="pixels")


def test_each_file_is_asked_for_its_size_once(folder, monkeypatch):
    asked, stat = [], Path.stat

    def noted(self, **options):
        asked.append(self.name)
        return stat(self, **options)

    monkeypatch.setattr(Path, "stat", noted)
    deduplicate(sorted(folder.rglob("*.jpg")), encoder="pixels", rank_by="length DESC")
    assert sorted(asked) == sorted({*asked})


def test_a_report_shows_the_pictures(folder, tmp_path):
    result = deduplicate(folder, encoder="pixels", eps=0.002, rank_by="length DESC")
    page = result.report(tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/jpeg;base64,") >= 6
    assert "96 x 64 pixels" in page


def test_a_spark_frame_of_pictures_gives_what_memory_gives(spark, folder, tmp_path):
    files = sorted(file for file in folder.rglob("*.jpg") if not file.name.startswith("."))
    rows = [(file.name, file.read_bytes()) for file in files]
    settings = {"content": "image", "id": "name", "encoder": "pixels", "eps": 0.002}
    frame = spark.createDataFrame(rows, "name string, image binary")
    job = deduplicate(frame, output=str(tmp_path / "out"), **settings)
    memory = deduplicate(pd.DataFrame(rows, columns=["name", "image"]), **settings)
    columns = ["id", "kept", "survivor_id", "copies", "reason"]
    theirs = job.assignment.select(*columns).toPandas().sort_values("id", ignore_index=True)
    own = memory.assignment[columns].sort_values("id", ignore_index=True)
    pd.testing.assert_frame_equal(
        theirs.astype({"copies": "float64"}), own.astype({"copies": "float64"})
    )
