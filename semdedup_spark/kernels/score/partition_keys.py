"""Keys that Spark's hash partitioning sends to chosen partitions.

The units have balanced costs, and hashing their numbers would destroy the balance. Of 64 partitions
for 64 units about 24 would stay empty and some would get four units. So each unit gets a key whose
hash falls on the partition wanted.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

# Seed of the hash in Spark's HashPartitioning.
_SPARK_SEED = 42


def partition_keys(n: int, n_partitions: int) -> npt.NDArray[np.int32]:
    """Find keys that spread evenly over partitions.

    ``repartition(n_partitions, key)`` puts key i in partition ``i % n_partitions``.

    Parameters
    ----------
    n
        Number of keys.
    n_partitions
        Number of partitions.

    Returns
    -------
    ndarray
        (n,) int32. All keys differ.
    """
    residue = np.arange(n) % n_partitions
    turns = -(-n // n_partitions)
    tried = 0
    found = np.empty(0, dtype=np.int32)
    while True:
        # Every partition must be hit ``turns`` times. The number of tries is that of the coupon
        # collector's problem.
        tried = 2 * tried or int(n_partitions * (np.log(n_partitions) + 4 * turns + 4))
        found = np.arange(tried, dtype=np.int32)
        partition = spark_hash(found).astype(np.int64) % n_partitions
        if np.bincount(partition, minlength=n_partitions).min() >= turns:
            break
    order = np.argsort(partition, kind="stable")
    first = np.searchsorted(partition[order], residue)
    keys: npt.NDArray[np.int32] = found[order[first + np.arange(n) // n_partitions]]
    return keys


def spark_hash(values: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Compute Spark SQL's ``hash`` of int values: MurmurHash3 x86 32-bit of four bytes, seed 42.

    Parameters
    ----------
    values
        (n,) int32.

    Returns
    -------
    ndarray
        (n,) int32.
    """
    with np.errstate(over="ignore"):
        k = values.astype(np.uint32) * np.uint32(0xCC9E2D51)
        k = _rotated(k, 15) * np.uint32(0x1B873593)
        h = _rotated(np.uint32(_SPARK_SEED) ^ k, 13) * np.uint32(5) + np.uint32(0xE6546B64)
        h ^= np.uint32(4)
        h = (h ^ (h >> np.uint32(16))) * np.uint32(0x85EBCA6B)
        h = (h ^ (h >> np.uint32(13))) * np.uint32(0xC2B2AE35)
        mixed: npt.NDArray[np.int32] = (h ^ (h >> np.uint32(16))).astype(np.int32)
    return mixed


def _rotated(values: npt.NDArray[np.uint32], by: int) -> npt.NDArray[np.uint32]:
    rotated: npt.NDArray[np.uint32] = (values << np.uint32(by)) | (values >> np.uint32(32 - by))
    return rotated
