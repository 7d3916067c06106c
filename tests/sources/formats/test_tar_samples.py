"""A shard yields every sample once or a reason, and damage is never taken for the end."""

from __future__ import annotations

import io
import tracemalloc
from dataclasses import replace
from itertools import pairwise

import pytest

from semdedup_spark.sources.formats.sample_batches import batches
from semdedup_spark.sources.formats.tar_samples import ANY_IMAGE, Wanted, read_samples, share_of
from tests.sources.shards import samples_of, tar_bytes

EVERY = Wanted((ANY_IMAGE, "txt", "json"), required=(ANY_IMAGE,))


def read(content, wanted=EVERY):
    return list(read_samples(io.BytesIO(content), wanted))


def good(samples):
    return [sample.key for sample in samples if sample.reason is None]


def reasons(samples):
    return [(sample.key, sample.reason) for sample in samples if sample.reason is not None]


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_files_that_share_a_name_are_one_sample_also_when_compressed(mode):
    samples = read(tar_bytes(samples_of(3), mode))
    assert good(samples) == ["00000", "00001", "00002"]
    assert samples[1].members == {
        ANY_IMAGE: b"jpg 1",
        "txt": b"txt 1",
        "json": b'{"uid": "u1", "caption": "json 1"}',
    }


def test_the_key_ends_at_the_first_dot_of_the_file_name():
    files = [
        ("a.b/x.left.JPG", b"l"),
        ("a.b/x.right.jpg", b"r"),
        ("a.b/x.txt", b"t"),
        ("y.txt", b"u"),
    ]
    found = read(tar_bytes(files), Wanted(("left.jpg", "right.jpg", "txt")))
    assert [(sample.key, sample.members) for sample in found] == [
        ("a.b/x", {"left.jpg": b"l", "right.jpg": b"r", "txt": b"t"}),
        ("y", {"txt": b"u"}),
    ]


def test_a_sample_without_image_says_what_it_has():
    files = [("a.txt", b"x"), ("a.json", b"{}"), ("b.jpg", None), ("c", b"bytes"), ("d.jpg", b"x")]
    samples = read(tar_bytes([("folder/.hidden.jpg", b"x"), *files]))
    assert good(samples) == ["d"]
    assert reasons(samples) == [(key, "missing_member") for key in "abc"]
    assert samples[0].message == "the sample must have a member image. It has txt, json."
    assert "a file without a dot" in samples[2].message


def test_of_samples_with_one_key_none_is_lost():
    files = [("a.jpg", b"1"), ("a.jpg", b"2"), ("b.jpg", b"3"), ("a.txt", b"4"), ("a.jpg", b"5")]
    samples = read(tar_bytes([*files, ("b.txt", b"6")]))
    assert [(s.key, s.members.get(ANY_IMAGE)) for s in samples] == [
        ("a", b"1"),
        ("a", b"2"),
        ("b", b"3"),
        ("a", b"5"),
        ("b", None),
    ]
    assert reasons(samples) == [("b", "missing_member")]


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
@pytest.mark.parametrize("share", [0.1, 0.37, 0.62, 0.9])
def test_a_cut_shard_gives_what_is_whole_and_says_that_it_was_cut(mode, share):
    noise = [
        (f"{i:03d}.jpg", bytes([(i * 7 + j * j) % 251 for j in range(2000)])) for i in range(40)
    ]
    whole = tar_bytes(noise, mode)
    samples = read(whole[: int(len(whole) * share)])
    assert good(samples) == [name[:3] for name, _ in noise][: len(good(samples))]
    assert all(s.members[ANY_IMAGE] == dict(noise)[f"{s.key}.jpg"] for s in samples if not s.reason)
    assert samples[-1].key is None
    assert {reason for _, reason in reasons(samples)} == {"damaged_shard"}


def test_a_shard_cut_between_two_files_keeps_its_samples_and_says_so():
    whole = tar_bytes(samples_of(2, of=("jpg",)))
    samples = read(whole[: 2 * 1024])  # each has a header and one block of content
    assert good(samples) == ["00000", "00001"]
    assert reasons(samples) == [(None, "damaged_shard")]
    assert "end marker" in samples[-1].message


def test_a_header_broken_in_the_middle_is_not_taken_for_the_end():
    whole = bytearray(tar_bytes(samples_of(4, of=("jpg",))))
    whole[2 * 1024 + 148 : 2 * 1024 + 156] = b"\xff" * 8  # the checksum of the third
    samples = read(bytes(whole))
    assert good(samples) == ["00000"]
    # These samples lack txt and json, which the damage may have taken.
    beside = [("00001", "damaged_shard"), ("00003", "damaged_shard")]
    assert reasons(samples) == [*beside, (None, "damaged_shard")]


@pytest.mark.parametrize("content", [b"", b"no tar at all", b"\x1f\x8b\x08 no gzip", b"\0" * 100])
def test_what_is_no_tar_is_one_damaged_shard(content):
    assert reasons(read(content)) == [(None, "damaged_shard")]


def test_an_empty_tar_has_no_samples():
    assert read(tar_bytes([])) == []


def test_a_failing_connection_is_no_damage_but_an_error_to_try_again():
    class Failing(io.BytesIO):
        def read(self, *args):
            if self.tell() > 20_000:
                raise ConnectionResetError("gone")
            return super().read(*args)

    with pytest.raises(ConnectionResetError):
        list(read_samples(Failing(tar_bytes(samples_of(50))), EVERY))


def test_parts_of_a_shard_together_are_the_shard():
    whole = tar_bytes([*samples_of(60), ("00007.jpg", b"x" * 512)]).rstrip(b"\0")  # no end marker
    every = read(whole)
    cuts = [0.0, 0.2, share_of("00030"), 0.9, 1.0]
    parts = [
        sample
        for begin, end in pairwise(cuts)
        for sample in read(whole, Wanted(EVERY.members, EVERY.required, begin, end))
    ]
    assert sorted(map(repr, parts)) == sorted(map(repr, every))
    assert len(every) == 62


def test_a_member_too_large_is_passed_over_unread():
    wanted = replace(EVERY, max_bytes=100)
    samples = read(tar_bytes([("a.jpg", b"x" * 101), ("b.jpg", b"x" * 100)]), wanted)
    assert good(samples) == ["b"]
    assert reasons(samples) == [("a", "member_too_large")]


def test_memory_holds_a_batch_and_not_the_shard():
    content = tar_bytes((f"{i:04d}.jpg", bytes(200_000)) for i in range(200))
    tracemalloc.start()
    sizes = [
        sum(len(sample.members[ANY_IMAGE]) for sample in held)
        for held in batches(read_samples(io.BytesIO(content), EVERY), max_bytes=10**6, max_rows=50)
    ]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sum(sizes) == 200 * 200_000
    assert max(sizes) <= 10**6
    assert peak < 5 * 10**6 < len(content)


def test_names_that_are_no_utf8_still_make_keys():
    whole = tar_bytes([("a\udcff.jpg", b"x")])
    (sample,) = read(whole)
    assert sample.key == "a\\udcff"
    sample.key.encode()
