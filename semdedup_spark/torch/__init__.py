"""torch datasets over the tables of a job, without Spark in the training process.

``DeduplicatedDataset`` is map-style, holds its rows in memory and is used with ``ShardedSampler``.
``DeduplicatedStream`` is iterable, needs bounded memory and shards itself. Both read
``deduplicated``, ``pruned`` or any other Delta table at a pinned version.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from semdedup_spark.lazy_names import loaded_from

if TYPE_CHECKING:
    from semdedup_spark.torch.mapped import DeduplicatedDataset
    from semdedup_spark.torch.pictures import image_and_label, stacked_pictures
    from semdedup_spark.torch.sampling import ShardedSampler
    from semdedup_spark.torch.streaming import DeduplicatedStream

_HOMES = {
    "DeduplicatedDataset": "semdedup_spark.torch.mapped",
    "DeduplicatedStream": "semdedup_spark.torch.streaming",
    "ShardedSampler": "semdedup_spark.torch.sampling",
    "image_and_label": "semdedup_spark.torch.pictures",
    "stacked_pictures": "semdedup_spark.torch.pictures",
}

__all__ = [
    "DeduplicatedDataset",
    "DeduplicatedStream",
    "ShardedSampler",
    "image_and_label",
    "stacked_pictures",
]


__getattr__ = loaded_from(__name__, _HOMES)
