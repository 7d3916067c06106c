"""The embedding UDF's body: each payload's vector or reason stands in the payload's own row."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from semdedup_spark.encoders.protocol import EncoderSpec
from semdedup_spark.encoders.registry import load_encoder
from semdedup_spark.encoders.stream.stream import StreamSettings
from semdedup_spark.transforms import worker
from semdedup_spark.transforms.embed.embed_rows import as_arrow, encode_columns, payload_bytes
from semdedup_spark.transforms.embed.worker_encoder import WorkerSettings, worker_encoder
from semdedup_spark.transforms.worker import worker_device

READY_MADE = EncoderSpec("none")
PIXELS = EncoderSpec("pixels", image_size=2, device="cpu")
VECTORS = pa.list_(pa.float32())
RESULT = pa.struct(
    [
        ("embedding", pa.list_(pa.float32())),
        ("reason", pa.string()),
        ("message", pa.string()),
        ("repeated", pa.bool_()),
    ]
)


def png(colour):
    buffer = io.BytesIO()
    Image.new("RGB", (3, 3), colour).save(buffer, "PNG")
    return buffer.getvalue()


def encode(payloads, kind, spec):
    """(embeddings, reasons) after the checks that hold for every result."""
    column = payloads if isinstance(payloads, pa.Array) else pa.array(payloads, kind)
    encoded = pa.concat_arrays(encode_columns([column], spec, WorkerSettings()))
    encoded.validate(full=True)
    assert encoded.type == RESULT
    assert len(encoded) == len(column)
    assert encoded.null_count == 0
    rows = encoded.to_pylist()
    for payload, row in zip(column.to_pylist(), rows, strict=True):
        assert (row["reason"] is None) == (row["message"] is None)
        if payload is None:  # rejected before: its reason is in another column
            nothing = {"embedding": None, "reason": None, "message": None}
            assert row == {**nothing, "repeated": False}
        else:
            assert (row["embedding"] is None) == (row["reason"] is not None)
    return [row["embedding"] for row in rows], [row["reason"] for row in rows]


def test_ready_made_vectors_come_out_with_unit_length_or_a_reason():
    rows = [[3.0, 4.0], None, [0.0, -0.0], [float("nan"), 1.0], [1.0, float("inf")], [0.0, 5.0]]
    embeddings, reasons = encode(rows, VECTORS, READY_MADE)
    bad = [None, "zero_vector", "non_finite_vector", "non_finite_vector"]
    assert reasons == [None, *bad, None]
    np.testing.assert_allclose(embeddings[0], [0.6, 0.8], atol=1e-7)
    assert embeddings[1:5] == [None] * 4
    assert embeddings[5] == [0.0, 1.0]


def test_a_null_entry_of_a_vector_is_not_finite():
    _, reasons = encode([[1.0, None], [None, None], [1.0, 2.0]], VECTORS, READY_MADE)
    assert reasons == ["non_finite_vector", "non_finite_vector", None]


def test_a_slice_of_a_column_is_encoded_as_itself():
    rows = [[9.0, 9.0], None, [3.0, 4.0], [0.0, 0.0], None, [8.0, 6.0], [9.0, 9.0]]
    column = pa.array(rows, VECTORS)
    for start, stop in ((1, 6), (2, 4), (4, 7), (0, 7)):
        sliced = encode(column[start:stop], VECTORS, READY_MADE)
        assert sliced == encode(rows[start:stop], VECTORS, READY_MADE), (start, stop)


def test_a_slice_of_images_is_encoded_as_itself():
    column = pa.array([png("white"), b"no image", None, png("red"), png("blue")], pa.binary())
    embeddings, reasons = encode(column[1:4], pa.binary(), PIXELS)
    assert reasons == ["undecodable_image", None, None]
    np.testing.assert_allclose(embeddings[2], np.tile([0.5, 0, 0], 4), atol=1e-6)


def animated(kind):
    frames = [Image.new("RGB", (3, 3), colour) for colour in ("red", "blue", "lime")]
    buffer = io.BytesIO()
    frames[0].save(buffer, kind, save_all=True, append_images=frames[1:])
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_an_animation_is_its_first_frame_and_says_so_in_its_row_and_its_copys(kind):
    column = pa.array([png("red"), animated(kind), b"", animated(kind)], pa.binary())
    [encoded] = encode_columns([column], PIXELS, WorkerSettings())
    still, moving, bad, copy = encoded.to_pylist()
    note = "the first of several frames"
    assert [row["message"] for row in (still, moving, copy)] == [None, note, note]
    assert [row["reason"] for row in (still, moving, copy)] == [None] * 3
    assert bad["reason"] is not None
    assert bad["message"] != note
    np.testing.assert_allclose(moving["embedding"], still["embedding"], atol=0.02)


def test_a_cut_animation_of_which_the_first_frame_is_there_is_embedded():
    whole = animated("GIF")
    first = next(n for n in range(len(whole)) if encode([whole[:n]], pa.binary(), PIXELS)[0][0])
    assert first < len(whole) - 10
    for n in range(first, len(whole)):
        assert encode_notes(whole[:n]) in (None, "the first of several frames")


def encode_notes(payload):
    [encoded] = encode_columns([pa.array([payload], pa.binary())], PIXELS, WorkerSettings())
    [row] = encoded.to_pylist()
    assert row["reason"] is None
    return row["message"]


def test_images_keep_their_places_among_bad_and_absent_ones():
    payloads = [None, png("red"), b"", png("black"), b"no image", None, png("red")]
    embeddings, reasons = encode(payloads, pa.binary(), PIXELS)
    bad, black = "undecodable_image", "zero_vector"
    assert reasons == [None, None, bad, black, bad, None, None]
    assert embeddings[1] == embeddings[6]
    assert len(embeddings[1]) == 12


@pytest.mark.parametrize(
    ("kind", "spec"),
    [(VECTORS, READY_MADE), (pa.binary(), PIXELS), (pa.string(), EncoderSpec("minilm"))],
)
def test_empty_columns_and_columns_of_nulls_keep_the_type(kind, spec):
    assert encode([], kind, spec) == ([], [])
    assert encode([None, None], kind, spec) == ([None, None], [None, None])


def test_a_column_of_bad_payloads_only_has_reasons_only():
    assert encode([b"a", b"b"], pa.binary(), PIXELS)[1] == ["undecodable_image"] * 2
    assert encode([[0.0], [0.0]], VECTORS, READY_MADE)[1] == ["zero_vector"] * 2


def test_texts_are_encoded_in_place():
    spec = EncoderSpec("minilm", device="cpu")
    embeddings, reasons = encode(["a cat", None, "a dog", "a cat"], pa.string(), spec)
    assert reasons == [None] * 4
    assert embeddings[0] == embeddings[3] != embeddings[2]
    assert [len(v) for v in embeddings if v] == [384] * 3
    np.testing.assert_allclose(np.linalg.norm(embeddings[0]), 1, atol=1e-6)


def test_a_model_is_loaded_once_and_kept():
    assert load_encoder(PIXELS) is load_encoder(EncoderSpec("pixels", image_size=2, device="cpu"))


@pytest.mark.parametrize("most_bytes", [1, 500, 10**9])
def test_a_column_taken_in_pieces_gives_the_same_rows(monkeypatch, most_bytes):
    payloads = [None, png("red"), b"no image", png("blue"), png("red"), None, png("white")]
    whole = encode(payloads, pa.binary(), PIXELS)
    monkeypatch.setattr(StreamSettings, "__init__", small_pieces(most_bytes))
    assert encode(payloads, pa.binary(), PIXELS) == whole


def small_pieces(most_bytes):
    made = StreamSettings.__init__

    def init(self, *given, **named):
        made(self, *given, **{**named, "piece_bytes": most_bytes})

    return init


def test_the_bytes_of_payloads_are_known_before_they_become_objects():
    texts = pa.array(["ab", None, "é", ""], pa.string())
    assert payload_bytes(texts).tolist() == [2, 0, 2, 0]
    assert payload_bytes(texts[2:]).tolist() == [2, 0]
    both = pa.StructArray.from_arrays(
        [texts, pa.array([b"123", b"", None, b"1"])], ["text", "image"]
    )
    assert payload_bytes(both).tolist() == [5, 0, 2, 1]
    assert payload_bytes(both[2:]).tolist() == [2, 1]


def test_without_a_gpu_auto_means_the_cpu_and_cuda_stays_a_wish(monkeypatch):
    monkeypatch.setattr(worker, "torch_sees_gpu", lambda: 0)
    assert [worker_device(device) for device in ("auto", "cpu", "cuda")] == ["cpu", "cpu", "cuda"]


def test_a_worker_takes_the_gpu_that_spark_assigned_else_its_turn(monkeypatch):
    monkeypatch.setattr(worker, "torch_sees_gpu", lambda: 4)
    monkeypatch.setattr(worker, "task_gpu", lambda: "cuda:3")
    assert [worker_device(device) for device in ("auto", "cpu")] == ["cuda:3", "cpu"]
    monkeypatch.setattr(worker, "task_gpu", lambda: None)
    turns = []
    for partition in (5, 6, 7):

        class Context:
            def partitionId(self, partition=partition):  # noqa: N802
                return partition

        monkeypatch.setattr(worker.TaskContext, "get", lambda context=Context: context())
        turns.append(worker_device("auto"))
    worker.gpu_in_turn.cache_clear()
    assert turns == ["cuda:1"] * 3  # a worker that has its model stays where it is


def test_a_worker_computes_with_the_cores_of_its_task(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    _, stream = worker_encoder(replace(PIXELS, batch_size=0), WorkerSettings())
    assert (stream.threads, stream.growing) == (2, False)
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert worker_encoder(PIXELS, WorkerSettings())[1].threads == 1


def test_what_older_spark_hands_over_becomes_the_array_it_was():
    """A pandas UDF gets a struct as a DataFrame, in which a row that is absent has null fields."""
    pair = pa.struct([("image", pa.binary()), ("text", pa.string())])
    column = pa.array([{"image": b"1", "text": "one"}, None, {"image": b"2", "text": None}], pair)
    frame = pa.table({"image": column.field("image"), "text": column.field("text")}).to_pandas()
    frame.loc[1] = None
    assert as_arrow(frame).to_pylist() == column.to_pylist()
    series = pa.array(["a", None]).to_pandas()
    assert as_arrow(series).to_pylist() == ["a", None]
