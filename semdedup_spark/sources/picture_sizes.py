"""Width and height of pictures as columns, where ``source.columns`` names them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from semdedup_spark.config import SourceConfig
from semdedup_spark.sources.raw_source import RawSource

if TYPE_CHECKING:
    import pandas as pd

SIZES = ("width", "height")
_TYPE = "width int, height int"


def with_sizes(raw: RawSource, source: SourceConfig, payload: Column) -> RawSource:
    """Add the columns ``width`` and ``height`` to pictures, where they are asked for.

    Parameters
    ----------
    raw
        The source as its reader returned it.
    source
        The configured source.
    payload
        What the encoder gets.

    Returns
    -------
    RawSource
        With those of the two columns (int, pixels, upright) that ``source.columns`` names and the
        source itself does not have. They are null where the header of a picture tells no size.
    """
    has = {name.lower() for name in raw.df.columns}
    asked = [name for name in SIZES if name in (source.columns or ()) and name not in has]
    if source.kind not in ("images", "image_text") or not asked:
        return raw
    size = _size_of()(payload["image"] if source.kind == "image_text" else payload)

    def sized(df: DataFrame) -> DataFrame:
        return df.withColumns({name: size[name] for name in asked})

    keys = raw.df if raw.keys is None else raw.keys  # counting needs no sizes
    return replace(raw.changed(sized), keys=keys)


def _size_of() -> Callable[[Column], Column]:
    import pandas as pd

    def sizes(columns: Iterator[pd.Series]) -> Iterator[pd.DataFrame]:
        from semdedup_spark.encoders.image.decode import told_size

        for column in columns:
            told = [None if pd.isna(image) else told_size(image) for image in column]
            pairs = [size or (None, None) for size in told]
            yield pd.DataFrame(pairs, columns=list(SIZES)).astype("Int32")

    sizes.__annotations__ = {"columns": Iterator[pd.Series], "return": Iterator[pd.DataFrame]}
    return F.pandas_udf(sizes, _TYPE)  # type: ignore
