"""torch datasets over the tables of a job, without Spark in the training process.

``DeduplicatedDataset`` is map-style, holds its rows in memory and is used with ``ShardedSampler``.
``DeduplicatedStream`` is iterable, needs bounded memory and shards itself. Both read
``deduplicated``, ``pruned`` or any other Delta table at a pinned version.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from semdedup_spark.torch.mapped import DeduplicatedDataset
    from semdedup_spark.torch.pictures import image_and_label, stacked_pictures
    from semdedup_spark.torch.sampling import ShardedSampler
    from semdedup_spark.torch.streaming import DeduplicatedStream

_HOMES = {
    "DeduplicatedDataset": "mapped",
    "DeduplicatedStream": "streaming",
    "ShardedSampler": "sampling",
    "image_and_label": "pictures",
    "stacked_pictures": "pictures",
}

__all__ = [
    "DeduplicatedDataset",
    "DeduplicatedStream",
    "ShardedSampler",
    "image_and_label",
    "stacked_pictures",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"semdedup_spark.torch.{_HOMES[name]}"), name)
