"""The order in which rows are embedded: each row has a place, a commit a range of them."""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F

END_OF_PLACES = 2**31


def place_of(key: Column) -> Column:
    """A place in [0, 2**31): a hash of the key, so that any range is a fair sample."""
    return F.pmod(F.xxhash64(key), F.lit(END_OF_PLACES))


def within(place: Column, begin: int, end: int) -> Column:
    """Whether ``begin <= place < end``."""
    return (place >= begin) & (place < end)
