"""Hand the samples of a shard to Spark in record batches of bounded size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa

from semdedup_spark.masking import masked
from semdedup_spark.sources.formats.tar_samples import Sample

# Columns of a record batch before those of the members.
DESCRIBING = ("id", "shard", "key")
REASON, MESSAGE = "__reason", "__message"


def batches(samples: Iterable[Sample], *, max_bytes: int, max_rows: int) -> Iterator[list[Sample]]:
    """Group samples into lists of bounded size. A sample above the bound is a list of its own.

    Parameters
    ----------
    samples
        The samples.
    max_bytes
        Limit of the members' content in a list, in bytes.
    max_rows
        Limit of samples in a list.

    Yields
    ------
    list[Sample]
        Consecutive samples, at least one.
    """
    held: list[Sample] = []
    size = 0
    for sample in samples:
        more = sum(map(len, sample.members.values()))
        if held and (size + more > max_bytes or len(held) >= max_rows):
            yield held
            held, size = [], 0
        held.append(sample)
        size += more
    if held:
        yield held


def record_batch(shard: str, samples: Sequence[Sample], members: Sequence[str]) -> pa.RecordBatch:
    """Turn samples into a record batch.

    Parameters
    ----------
    shard
        Path of the shard.
    samples
        Samples of the shard.
    members
        Names of the members that become columns.

    Returns
    -------
    pa.RecordBatch
        The columns :data:`DESCRIBING`, :data:`REASON` and :data:`MESSAGE` as strings, and a binary
        column for each member.
    """
    strings = [
        [shard if sample.key is None else f"{shard}/{sample.key}" for sample in samples],
        [shard] * len(samples),
        [sample.key for sample in samples],
        [sample.reason for sample in samples],
        [sample.message and masked(sample.message) for sample in samples],
    ]
    contents = [[sample.members.get(name) for sample in samples] for name in members]
    return pa.RecordBatch.from_arrays(
        [
            *(pa.array(values, pa.string()) for values in strings),
            *(pa.array(values, pa.binary()) for values in contents),
        ],
        names=[*DESCRIBING, REASON, MESSAGE, *members],
    )
