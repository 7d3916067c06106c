"""A worker's stream of payloads: ahead of the model, never stuck, equal payloads encoded once."""

from __future__ import annotations

import threading
import time
import weakref

import numpy as np
import pytest
import torch

from semdedup_spark.encoders.protocol import EncoderSpec, RejectedPayload
from semdedup_spark.encoders.registry import load_encoder
from semdedup_spark.encoders.stream.batch_size import BatchSize
from semdedup_spark.encoders.stream.encoded_batch import encode_payloads
from semdedup_spark.encoders.stream.payload_cache import OutcomeCache, digest
from semdedup_spark.encoders.stream.prefetch import prefetch
from semdedup_spark.encoders.stream.stream import PieceSize, StreamSettings, encode_pieces
from semdedup_spark.encoders.stream.time_limit import TimeLimit


class Lengths:
    """A fake encoder: (n, 2) of a payload's length. Payloads say how they misbehave."""

    def __init__(self, most=10**9):
        self.prepared, self.calls, self.most = [], [], most
        self.release = threading.Event()

    def prepare(self, payloads):
        return [self._prepare(payload) for payload in payloads]

    def _prepare(self, payload):
        if b"hang" in payload:
            self.release.wait(30)
        if payload == b"bug":
            raise ZeroDivisionError("a bug in a decoder")
        self.prepared.append(payload)
        if payload == b"bad":
            return RejectedPayload("undecodable_image", "bad")
        return np.array([len(payload), 1.0], dtype=np.float32)

    def encode(self, prepared):
        self.calls.append(len(prepared))
        if len(prepared) > self.most:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return np.stack(prepared)


@pytest.fixture
def lengths():
    encoder = Lengths()
    yield encoder
    encoder.release.set()


def waits_for(condition, seconds=5.0):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)
    return condition()


def threads_named(name):
    return [thread for thread in threading.enumerate() if thread.name == name]


def stream(encoder, pieces, **settings):
    return list(encode_pieces(encoder, lambda _: iter(pieces), StreamSettings(**settings)))


# --- prefetch


def test_items_are_made_ahead_but_never_more_than_the_depth():
    made = []

    def items():
        for i in range(100):
            made.append(i)
            yield i

    line = prefetch(items(), 2)
    assert next(line) == 0
    assert waits_for(lambda: len(made) >= 4)
    time.sleep(0.05)
    assert len(made) == 4  # one used, two in line, one in hand
    assert list(line) == list(range(1, 100))


def test_what_goes_wrong_ahead_is_raised_in_its_place():
    def items():
        yield 1
        raise KeyError("no two")

    line = prefetch(items(), 3)
    assert next(line) == 1
    with pytest.raises(KeyError, match="no two"):
        next(line)


def test_the_thread_ends_when_nobody_wants_more():
    line = prefetch(iter(range(10**9)), 1)
    next(line)
    assert threads_named("prefetch")
    line.close()
    assert not threads_named("prefetch")


# --- the time limit


def test_a_payload_that_hangs_costs_its_own_row_only(lengths):
    began = time.monotonic()
    results = TimeLimit(lengths, 0.1).prepare([b"a", b"hang", b"bbb", b"hang", b"bad"])
    assert time.monotonic() - began < 5
    assert [getattr(r, "reason", None) for r in results] == [
        None,
        "decode_timeout",
        None,
        "decode_timeout",
        "undecodable_image",
    ]
    assert [r[0] for r in (results[0], results[2])] == [1, 3]
    lengths.release.set()
    assert waits_for(lambda: not threads_named("prepare"))


def test_what_a_left_thread_finds_later_counts_no_more(lengths):
    limit = TimeLimit(lengths, 0.05)
    first = limit.prepare([b"hang", b"a"])
    lengths.release.set()
    assert waits_for(lambda: b"hang" in lengths.prepared)
    assert first[0].reason == "decode_timeout"
    assert len(first) == 2
    assert [float(r[0]) for r in limit.prepare([b"cc", b"a"])] == [2, 1]


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_results_keep_their_rows_for_any_number_of_threads(lengths, threads):
    payloads = [b"x" * n for n in range(23)]
    payloads[7] = b"hang on"
    results = TimeLimit(lengths, 0.1, threads).prepare(payloads)
    found = [None if isinstance(r, RejectedPayload) else int(r[0]) for r in results]
    assert found == [None if n == 7 else n for n in range(23)]


def test_texts_are_prepared_together_and_one_by_one_only_where_that_takes_too_long():
    class Together:
        def __init__(self):
            self.calls = []

        def prepare(self, payloads):
            self.calls.append(list(payloads))
            if "slow" in payloads:
                time.sleep(0.4)
            return [len(payload) for payload in payloads]

    encoder = Together()
    limit = TimeLimit(encoder, 0.1)
    assert limit.prepare(["a", "bb"]) == [1, 2]
    assert encoder.calls == [["a", "bb"]]
    results = limit.prepare(["a", "slow", "ccc"])
    assert [results[0], results[1].reason, results[2]] == [1, "decode_timeout", 3]


def test_a_bug_in_a_decoder_is_raised_not_hidden(lengths):
    with pytest.raises(ZeroDivisionError):
        TimeLimit(lengths, 5.0).prepare([b"a", b"bug"])
    with pytest.raises(ZeroDivisionError):
        stream(lengths, [[b"a"], [b"bug"]])


def test_decoders_that_all_hang_stop_the_task_rather_than_fill_the_memory(lengths):
    with pytest.raises(RuntimeError, match=r"embed\.decode_seconds"):
        TimeLimit(lengths, 0.001).prepare([b"hang"] * 40)


# --- batch sizes


def test_a_batch_that_does_not_fit_is_halved_and_stays_so():
    encoder = Lengths(most=7)
    batches = BatchSize(encoder, growing=False)
    prepared = [np.array([n, 1], np.float32) for n in range(60)]
    assert np.array_equal(batches.encode(prepared)[:, 0], np.arange(60))
    assert max(encoder.calls[4:]) <= 7
    encoder.calls.clear()
    batches.encode(prepared)
    assert max(encoder.calls) <= 7  # not tried again


def test_one_row_that_does_not_fit_is_an_error():
    with pytest.raises(torch.cuda.OutOfMemoryError):
        BatchSize(Lengths(most=0), growing=False).encode([np.ones(2, np.float32)])


def test_other_errors_are_no_reason_to_try_again():
    class Broken:
        def encode(self, prepared):
            raise ValueError("shape")

    with pytest.raises(ValueError, match="shape"):
        BatchSize(Broken(), growing=False).encode([1, 2])


def test_a_growing_batch_grows_while_it_pays_and_stops_below_what_does_not_fit(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])

    class Priced(Lengths):
        def encode(self, prepared):
            clock[0] += 1.0 if len(prepared) <= 256 else len(prepared) / 256  # no gain above 256
            return super().encode(prepared)

    prepared = [np.array([n, 1], np.float32) for n in range(5000)]
    pays = BatchSize(Priced(), growing=True)
    pays.encode(prepared)
    assert pays.size == 256
    small = BatchSize(Priced(most=100), growing=True)
    assert np.array_equal(small.encode(prepared)[:, 0], np.arange(5000))
    assert small.size == 64


# --- equal payloads


def test_equal_payloads_are_prepared_and_encoded_once(lengths):
    pieces = [[b"a", b"bb", None, b"a"], [b"bb", b"bad", b"ccc"], [b"bad", b"a", None]]
    found = stream(lengths, pieces)
    plain = [encode_payloads(Lengths(), piece) for piece in pieces]
    for one, other in zip(found, plain, strict=True):
        assert np.array_equal(one.X, other.X if other.X.shape[1] else np.zeros_like(one.X))
        assert (one.reasons, one.messages) == (other.reasons, other.messages)
    assert sorted(lengths.prepared) == [b"a", b"bad", b"bb", b"ccc"]
    assert sum(lengths.calls) == 3
    assert [batch.repeated for batch in found] == [
        [False, False, False, True],
        [True, False, False],
        [True, True, False],
    ]


def test_memory_of_seen_payloads_is_bounded():
    repeats = OutcomeCache()
    repeats.expect(384)
    first, _ = repeats.outcome("0")
    kept = weakref.ref(repeats)
    for n in range(60_000):
        repeats.outcome(str(n))
    assert len(kept()._seen) == 64 * 2**20 // (4 * 384)
    again, known = repeats.outcome("0")
    assert not known
    assert again is not first


def test_digests_tell_payloads_apart():
    payloads = [
        "a",
        b"a",
        "",
        b"",
        {"image": b"a", "text": None},
        {"image": None, "text": "a"},
        {"image": b"a", "text": "a"},
        {"image": b"", "text": "aa"},
        "é",
        "é".encode(),
        "e\u0301",
        "\ud800",
    ]
    assert len({digest(payload) for payload in payloads}) == len(payloads)
    assert digest({"text": "a", "image": b"b"}) == digest({"image": b"b", "text": "a"})


def test_real_vectors_have_the_same_bits_with_and_without_all_this():
    encoder = load_encoder(EncoderSpec("minilm", device="cpu"))
    texts = [f"{'the cat sat ' * (n % 4)} number {n % 20}" for n in range(60)]
    plain = encode_payloads(encoder, texts)
    pieces = [texts[:25], texts[25:26], texts[26:]]
    found = stream(encoder, pieces)
    assert np.array_equal(np.concatenate([batch.X for batch in found]), plain.X)
    assert sum(map(sum, (batch.repeated for batch in found))) == 60 - len(set(texts)) == 40


# --- pieces


def test_pieces_hold_as_many_rows_as_fit_into_memory(lengths):
    sizes = []

    def pieces(size):
        for _ in range(4):
            sizes.append(size.rows)
            yield [bytes([n, len(sizes)]) for n in range(min(size.rows, 50))]

    settings = StreamSettings(piece_bytes=80)  # a prepared payload has 8 bytes
    assert [len(batch.X) for batch in encode_pieces(lengths, pieces, settings)] == [32, 10, 10, 10]
    assert sizes == [32, 10, 10, 10]
    tokens = PieceSize(10_000)
    tokens.learn([[1, 2, 3]])
    assert tokens.rows == 4096


def test_a_task_leaves_no_thread_behind(lengths):
    stream(lengths, [[b"a"], [b"b"]])
    assert waits_for(lambda: not threads_named("prefetch") and not threads_named("prepare"))
    begun = encode_pieces(
        lengths, lambda _: iter([[bytes([n])] for n in range(99)]), StreamSettings()
    )
    next(begun)
    begun.close()
    assert waits_for(lambda: not threads_named("prefetch") and not threads_named("prepare"))
