"""Shards of any bytes become rows in bounded time and memory, without an error."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import random
import tarfile
import tracemalloc
import zlib
from dataclasses import replace

import pytest

from semdedup_spark.sources.formats.decompress import Unpacked
from semdedup_spark.sources.formats.sample_batches import record_batch
from semdedup_spark.sources.formats.tar_samples import Wanted, read_samples
from tests.sources.brokenshards import (
    BLOCK,
    every_records,
    mutated,
    whole_shards,
    with_header,
    with_records,
)
from tests.sources.shards import samples_of, tar_bytes

WANTED = Wanted(("jpg", "txt"), required=("jpg", "txt"))
KEYS = [f"{i:05d}" for i in range(12)]
# CI runs the first 800. SEMDEDUP_FUZZ=100000 runs that many by hand.
N_MUTATED = int(os.environ.get("SEMDEDUP_FUZZ", "800"))


class Counted(io.BytesIO):
    """Counts reads, to detect a reader that loops without reaching the end."""

    n_reads = 0

    def read(self, *args):
        self.n_reads += 1
        return super().read(*args)


def read(shard, wanted=WANTED):
    stream = Counted(shard)
    samples = list(read_samples(stream, wanted))
    assert stream.n_reads < 2000
    return samples


def right(sample):
    number = int(sample.key)
    return sample.members == {"jpg": b"jpg %d" % number, "txt": b"txt %d" % number}


def good(samples):
    return [sample.key for sample in samples if sample.reason is None]


def bad(samples):
    return [(sample.key, sample.reason) for sample in samples if sample.reason is not None]


@pytest.mark.parametrize("name", whole_shards())
def test_what_is_whole_is_read_in_every_format_and_compression(name):
    samples = read(whole_shards()[name])
    assert good(samples) == KEYS
    assert bad(samples) == []
    assert all(map(right, samples))


def test_any_bytes_end_as_samples_or_reasons():
    chance = random.Random(19)
    shards = list(whole_shards().values())
    for turn in range(N_MUTATED):
        shard = mutated(chance.choice(shards), chance)
        samples = read(shard)
        keyless = [sample for sample in samples if sample.key is None]
        assert keyless == [s for s in samples[-1:] if s.key is None], turn
        assert record_batch("a.tar", samples, WANTED.members).num_rows == len(samples)
        for sample in samples:
            assert (sample.reason is None) == (sample.message is None), turn
            assert sample.reason is not None or set(sample.members) == {"jpg", "txt"}, turn


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ({}, "member_too_large"),
        ({"kind": b"S"[0]}, "damaged_shard"),
        ({"size": b"00077777777\0"}, "damaged_shard"),
    ],
)
def test_a_name_that_is_no_utf8_can_be_told_in_a_reason(header, reason):
    shard = with_header(whole_shards()["ustar"], 0, name=b"\xff\xfea.jpg", **header)
    samples = read(shard, replace(WANTED, max_bytes=4))
    assert samples[0].key == r"\udcff\udcfea"
    assert samples[0].reason == reason
    assert r"\udcff\udcfea.jpg" in samples[0].message
    table = record_batch("a.tar", samples, WANTED.members)
    assert table["__message"][0].as_py() == samples[0].message


def test_memory_does_not_believe_what_headers_say():
    chance = random.Random(20)
    shards = [mutated(whole, chance) for whole in whole_shards().values() for _ in range(20)]
    tracemalloc.start()
    for shard in shards:
        read(shard)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 24 << 20


@pytest.mark.parametrize(("records", "shard"), every_records())
def test_records_that_lie_cost_their_own_sample_at_most(records, shard):
    samples = read(shard)
    assert set(good(samples)) >= {"00000", "00002", "00003", "00004", "00005"}
    assert all(right(sample) for sample in samples if sample.reason is None and sample.key in KEYS)
    assert {reason for _, reason in bad(samples)} <= {"damaged_shard", "missing_member"}


@pytest.mark.parametrize("broken", range(0, 48, 2))
def test_a_broken_header_costs_its_own_sample_and_no_other(broken):
    """``broken``: the header block of each of 24 files, which have two blocks each."""
    shard = bytearray(whole_shards()["ustar"])
    shard[broken * BLOCK + 148] ^= 0x7F
    samples = read(bytes(shard))
    lost = KEYS[broken // 4]
    assert good(samples) == [key for key in KEYS if key != lost]
    assert all(right(sample) for sample in samples if sample.reason is None)
    assert bad(samples) == [(lost, "damaged_shard"), (None, "damaged_shard")]


@pytest.mark.parametrize("size", [b"77777777777\0", b"\x80" + b"\x7f" * 11, b"\xff" * 12])
@pytest.mark.parametrize("kind", [b"0", b"x", b"L", b"S", b"\xff"])
def test_a_size_that_cannot_be_is_found_out_before_anything_is_read(size, kind):
    shard = with_header(whole_shards()["ustar"], 8, size=size, kind=kind[0])
    samples = read(shard)
    assert good(samples) == [key for key in KEYS if key != "00002"]
    assert (None, "damaged_shard") in bad(samples)


def test_a_size_that_cannot_be_ends_a_compressed_shard_in_its_own_time():
    shard = with_header(whole_shards()["ustar"], 8, size=b"\x80" + b"\x7f" * 11)
    samples = read(gzip.compress(shard))
    assert good(samples) == ["00000", "00001"]
    assert bad(samples) == [("00002", "member_too_large"), (None, "damaged_shard")]


def test_a_compressed_shard_with_a_wrong_sum_says_so():
    shard = bytearray(gzip.compress(tar_bytes(samples_of(3, of=("jpg", "txt")))))
    shard[-8] ^= 1
    assert bad(read(bytes(shard))) == [(None, "damaged_shard")]


def test_of_one_sample_the_number_of_files_is_bounded():
    files = [(f"a.{i}", b"") for i in range(10_100)]
    samples = read(
        tar_bytes([("a.jpg", b"1"), ("a.txt", b"1"), *files, ("b.jpg", b""), ("b.txt", b"")])
    )
    assert good(samples) == ["b"]
    assert bad(samples) == [("a", "damaged_shard")]
    assert len(samples[0].found) <= 10_000


def test_headers_without_a_file_do_not_nest():
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 4
    before = (info.tobuf(tarfile.GNU_FORMAT) + b"abc\0".ljust(BLOCK, b"\0")) * 5000
    shard = before + tar_bytes(samples_of(2, of=("jpg", "txt")))
    assert good(read(shard))[-1:] == ["00001"]


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_little_that_unpacks_to_very_much_is_stopped(compress):
    unpacked = Unpacked(io.BytesIO(compress(bytes(1 << 24))), free_bytes=1 << 22)
    assert not unpacked.skip(1 << 40)
    assert "unpacks to more than" in unpacked.damage


@pytest.mark.parametrize("name", ["BZhang.jpg", "BZh9.jpg", "BZh.jpg"])
def test_a_name_that_begins_as_bzip2_does_is_no_bzip2(name):
    shard = tar_bytes([(name, b"1"), (name.replace("jpg", "txt"), b"2")])
    assert good(read(shard)) == [name.removesuffix(".jpg")]
    assert good(read(bz2.compress(shard))) == [name.removesuffix(".jpg")]
    assert Unpacked(io.BytesIO(bz2.compress(b"") + bz2.compress(b"x"))).read(9) == b"x"


def test_xz_that_asks_for_more_memory_than_there_should_be_is_damage():
    lavish = {"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 24}
    header = bytearray(lzma.compress(b"a", filters=[lavish]))
    header[16] = 40  # the largest dictionary of the format, 4 GiB
    header[20:24] = zlib.crc32(header[12:20]).to_bytes(4, "little")
    unpacked = Unpacked(io.BytesIO(header))
    assert unpacked.read(1) == b""
    assert "emory" in unpacked.damage


def test_a_name_too_long_is_no_key():
    samples = read(with_records({"path": "n" * 5000 + ".jpg"}))
    assert "00001" not in good(samples)
    assert max(len(sample.key or "") for sample in samples) < 100
