"""Read tar shards in the webdataset (img2dataset) layout as a DataFrame.

Spark lists the shards, so that globs and buckets work as for other formats. A worker then opens its
shards itself and streams them, and holds one batch of samples at a time. Spark's own reader of
whole files would hold a shard two or three times (JVM, Arrow, Python) and is limited to 2 GiB.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from semdedup_spark.config import CONTENT_HASH, SourceConfig
from semdedup_spark.errors import SourceError
from semdedup_spark.paths import open_stream
from semdedup_spark.schema import quoted
from semdedup_spark.sources.file_names import (
    check_any,
    check_names,
    tell_hidden,
    tell_left_out,
)
from semdedup_spark.sources.formats.folder import empty_files, file_fingerprint, listing
from semdedup_spark.sources.formats.lake_tables import refuse_files_of_tables
from semdedup_spark.sources.formats.sample_batches import (
    DESCRIBING,
    MESSAGE,
    REASON,
    batches,
    record_batch,
)
from semdedup_spark.sources.formats.tar_samples import ANY_IMAGE, Wanted, read_samples
from semdedup_spark.sources.hash_ranges import END_OF_PLACES
from semdedup_spark.sources.picture_sizes import SIZES
from semdedup_spark.sources.raw_source import PROBLEM, RawSource, Roles

_ENDINGS = (".tar", ".tgz", ".tbz2", ".txz", ".tar.gz", ".tar.bz2", ".tar.xz")
_SHARDS = f"*{{{','.join(_ENDINGS)}}}"
_LIKE_SHARDS = "*.[tT][aA][rR]*"
_JSON = "json"
_TEXT_MEMBERS = ("txt", "text", "caption", "json", "cls", "cls2", "class", "index", "id", "url")
# Limits of a batch that a worker hands to Spark.
_BATCH_BYTES, _BATCH_ROWS = 32 << 20, 1024


@dataclass(frozen=True)
class _Layout:
    """How members become columns.

    Attributes
    ----------
    wanted
        The members to read.
    text
        Members whose bytes become strings.
    fields
        Columns ``json.<field>``, each a field of the member json.
    roles
        Which column is the id, the content, and so on.
    for_id
        Members from which the id comes.
    """

    wanted: Wanted
    text: frozenset[str]
    fields: tuple[str, ...]
    roles: Roles
    for_id: tuple[str, ...]

    def of_keys(self, key: str | None) -> _Layout:
        """Restrict the layout to the members from which the id comes.

        Parameters
        ----------
        key
            The configured ``source.id``, or ``None``.

        Returns
        -------
        _Layout
            A layout for the same samples.
        """
        wanted = replace(self.wanted, members=self.for_id, required=())
        return replace(self, wanted=wanted, fields=_fields(key))


def read_webdataset(spark: SparkSession, source: SourceConfig) -> RawSource:
    """Open tar shards.

    Parameters
    ----------
    spark
        The session that lists the shards and runs the readers.
    source
        A source of format webdataset.

    Returns
    -------
    RawSource
        One row for each sample: id (``shard/key``), shard, key, and the members that the
        configuration names.

    Notes
    -----
    Raises :class:`SourceError` if ``source.columns`` names a field of the member json, if there is
    no shard, if the shards belong to a lake table, or if Spark does not list some because of their
    names. Reading the first shard may raise an ``OSError``.
    """
    files = listing(spark, source, pathGlobFilter=_SHARDS)
    names = _checked_names(files, source)
    empty = empty_files(files, names)
    n_shards = len(names)
    layout = _layout(source)
    first = files.select("path").first()
    if first is not None:
        open_stream(first["path"]).close()  # fail now if Python cannot open this file system
    shards = _placed(files)

    def samples(
        shards: DataFrame, n_tasks: int, layout: _Layout, begin: int, end: int
    ) -> DataFrame:
        read = _reader(layout.wanted, begin, end)
        columns = [f"{quoted(name)} binary" for name in layout.wanted.members]
        described = [f"{name} string" for name in (*DESCRIBING, REASON, MESSAGE)]
        rows = shards.repartition(n_tasks).mapInArrow(read, ", ".join([*described, *columns]))
        if empty is not None and begin == 0:
            rows = rows.unionByName(_empty_shards(empty), allowMissingColumns=True)
        return rows.select(*_columns(layout))

    def part(begin: int, end: int) -> DataFrame:
        here = shards.filter((F.col("__hi") > begin) & (F.col("__lo") < end))
        n_tasks = min(n_shards, -(-n_shards * (end - begin) // END_OF_PLACES) + 1)
        return samples(here, n_tasks, layout, begin, end)

    made_id = layout.roles.id is None  # the id is a hash of the content, which must be read
    of_keys = layout.of_keys(source.id)
    keys = None if made_id else samples(shards, n_shards, of_keys, 0, END_OF_PLACES)
    return RawSource(
        df=samples(shards, n_shards, layout, 0, END_OF_PLACES),
        fingerprint=lambda: file_fingerprint(files),
        fingerprint_now=lambda: file_fingerprint(listing(spark, source, pathGlobFilter=_SHARDS)),
        roles=layout.roles,
        problem=PROBLEM,
        part=part,
        keys=keys,
    )


def _checked_names(files: DataFrame, source: SourceConfig) -> list[str]:
    spark, names = files.sparkSession, files.inputFiles()
    others = listing(spark, source, pathGlobFilter=_LIKE_SHARDS).inputFiles()
    tell_left_out(others, names, _ENDINGS)
    check_any(names, source, _ENDINGS)
    refuse_files_of_tables(spark, names, "source.path")
    check_names(names, opened=False, endings=_ENDINGS)
    tell_hidden(names)
    return names


def _layout(source: SourceConfig) -> _Layout:
    image = source.kind != "text"
    content = source.content or (ANY_IMAGE if image else "txt")
    caption = (source.text or "txt") if source.kind == "image_text" else None
    own = source.columns or ["shard", "key", "txt", _JSON]
    if _fields(*own):
        raise SourceError(
            f"source.columns must name whole members, such as {_JSON}, and no fields of one. "
            f"Got {own}.",
            hint=f"name {_JSON} instead, and read its fields later with SQL's get_json_object.",
        )
    roles = Roles(_id_name(source), content, caption, own=own)
    payload = [name for name in (content, caption) if name is not None]
    fields = _fields(source.id, content, caption)
    members_of_own = [name for name in own if not (image and name in SIZES)]
    named = [*members_of_own, *payload, *filter(None, [roles.id])]
    members = [_JSON if name in fields else name for name in named]
    members = [m for m in dict.fromkeys(members) if m not in DESCRIBING]
    text = {m for m in members if m.rpartition(".")[2] in _TEXT_MEMBERS}
    text |= {name for name in (caption, None if image else content) if name is not None}
    required = tuple(dict.fromkeys(_JSON if name in fields else name for name in payload))
    for_id = tuple(_JSON if n in fields else n for n in [roles.id] if n and n not in DESCRIBING)
    wanted = Wanted(tuple(members), required, max_bytes=source.max_bytes)
    return _Layout(wanted, frozenset(text), fields, roles, for_id)


def _id_name(source: SourceConfig) -> str | None:
    return None if source.id == CONTENT_HASH else source.id or "id"


def _fields(*names: str | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(n for n in names if n is not None and n.startswith(f"{_JSON}.")))


def _columns(layout: _Layout) -> list[Column]:
    def member(name: str) -> Column:
        column = F.col(quoted(name))
        return (column.cast("string") if name in layout.text else column).alias(name)

    field_of = [
        F.get_json_object(F.col(_JSON).cast("string"), f"$.{name.partition('.')[2]}").alias(name)
        for name in layout.fields
    ]
    problem = F.struct(F.col(REASON).alias("reason"), F.col(MESSAGE).alias("message"))
    return [
        *(F.col(name) for name in DESCRIBING),
        *(member(name) for name in layout.wanted.members),
        *field_of,
        F.when(F.col(REASON).isNotNull(), problem).alias(PROBLEM),
    ]


def _placed(files: DataFrame) -> DataFrame:
    """Columns path, __lo, __hi, length. Each shard gets a range of places, in proportion to its
    bytes.
    """
    so_far = F.sum("length").over(Window.orderBy("path").rowsBetween(Window.unboundedPreceding, 0))
    every = F.sum("length").over(Window.partitionBy(F.lit(0)))
    ends = files.select("path", "length", so_far.alias("end"), every.alias("every"))
    return ends.select(
        "path",
        ((F.col("end") - F.col("length")) / F.col("every") * END_OF_PLACES).alias("__lo"),
        (F.col("end") / F.col("every") * END_OF_PLACES).alias("__hi"),
        "length",
    )


def _empty_shards(empty: DataFrame) -> DataFrame:
    return empty.select(
        F.col("path").alias("id"),
        F.col("path").alias("shard"),
        F.lit(None).cast("string").alias("key"),
        F.lit("damaged_shard").alias(REASON),
        F.lit("the shard has no bytes").alias(MESSAGE),
    )


def _reader(
    wanted: Wanted, begin: int, end: int
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def read(shards: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in shards:
            for path, lo, hi, n_bytes in zip(*map(pa.Array.to_pylist, batch.columns), strict=True):
                share = replace(wanted, begin=(begin - lo) / (hi - lo), end=(end - lo) / (hi - lo))
                with open_stream(path) as stream:
                    samples = read_samples(stream, share, n_bytes)
                    for held in batches(samples, max_bytes=_BATCH_BYTES, max_rows=_BATCH_ROWS):
                        yield record_batch(path, held, wanted.members)

    return read
