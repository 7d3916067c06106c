"""Checks of CSV files for content that Spark's CSV reader would lose without an error."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter

import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from semdedup_spark.config import SourceConfig
from semdedup_spark.errors import SourceError
from semdedup_spark.sources.formats.folder import chosen_files, file_name
from semdedup_spark.values import is_utf8

_MOST_SHOWN = 3
# Whether a quoted field is open where a line ends, or the line cannot follow what precedes it.
_CLOSED, _OPEN, _WRONG = range(3)
# Rows that fold consecutive lines. Of both states where the first begins: the state where the last
# ends, and the number of wrong lines.
_FOLDED = "file string, block bigint, n bigint, end_0 int, bad_0 bigint, end_1 int, bad_1 bigint"
_ARROW = {"string": pa.string(), "bigint": pa.int64(), "int": pa.int32()}


def check_csv(spark: SparkSession, source: SourceConfig) -> None:
    """Check the headers, the encoding and the quoting of CSV files in one pass over their lines.

    Files in UTF-16 or UTF-32 are not checked: Spark's text reader cannot split their lines.

    Parameters
    ----------
    spark
        The session that reads the lines.
    source
        A source of format csv.

    Raises
    ------
    SourceError
        If files have different headers, if a line is not UTF-8, or if the quoting does not agree
        with ``source.options``.
    """
    if is_wide(source):
        return
    lines = _lines(spark, source)
    found = _by_file(lines, source)
    if (source.option("header") or "true").lower() == "true":
        _check_headers(found, source)
    if _multi_line(source) == "true":
        found = found.drop("open", "after").join(_spanning(lines, source), "file")
    wrong = found.agg(
        *(F.sum(F.col(name)).alias(name) for name in ("open", "after", "invalid")),
        *(
            F.min(F.when(F.col(name) > 0, F.col("file"))).alias(f"{name}_in")
            for name in ("open", "after", "invalid")
        ),
    ).first()
    if wrong is None:
        return
    if wrong["invalid"]:
        raise SourceError(
            f"CSV files must be UTF-8. Got {wrong['invalid']:,} lines that are not. One of their "
            f"files is {wrong['invalid_in']}.",
            hint="name the encoding in source.options, such as {encoding: ISO-8859-1}.",
        )
    if wrong["open"]:
        problem, hint = _open_quotes(source, wrong["open"], wrong["open_in"])
        raise SourceError(problem, hint=hint)
    if wrong["after"]:
        raise SourceError(
            f"a quoted CSV field must end at its closing quote. In {wrong['after']:,} lines "
            f"text follows the closing quote. One of their files is {wrong['after_in']}.",
            hint="if a quote further up is never closed, close it; "
            r"if a backslash escapes quotes inside fields, set source.options to "
            r"""{escape: "\\"}; if quotes are ordinary characters, set it to {quote: ""}.""",
        )


def _open_quotes(source: SourceConfig, n: int, file: str) -> tuple[str, str]:
    """The problem and the hint for quotes that are not closed."""
    if _multi_line(source) == "true":
        return (
            "CSV quotes must come in pairs: a field whose quote is never closed takes all lines "
            f"that follow. The file {file} has an unclosed quote.",
            "correct the file: enclose a field that holds a quote in quotes, and double the quote "
            "inside it.",
        )
    return (
        f"a quoted CSV field must end in the line where it begins. In {n:,} lines it does not. "
        f"One of their files is {file}.",
        'if fields hold line breaks, set source.options to {multiLine: "true"}; if quotes are '
        'ordinary characters, set it to {quote: ""}.',
    )


def is_wide(source: SourceConfig) -> bool:
    """Tell whether the encoding uses more than one byte for each character and line end.

    Parameters
    ----------
    source
        A source of format csv or jsonl. Its options name the encoding.

    Returns
    -------
    bool
        True for UTF-16 and UTF-32.
    """
    return _encoding(source).startswith(("utf16", "utf32"))


def _encoding(source: SourceConfig) -> str:
    named = source.option("encoding") or source.option("charset") or "utf8"
    return named.lower().replace("-", "").replace("_", "")


def _multi_line(source: SourceConfig) -> str | None:
    given = source.option("multiLine") or source.option("wholeFile")
    return None if given is None else given.lower()


def _lines(spark: SparkSession, source: SourceConfig) -> DataFrame:
    """Columns file, block (the split's place in the file), n (order of lines within a split), first
    (in the file's first split?), value.
    """
    separator = source.option("lineSep")
    options = {} if separator is None else {"lineSep": separator}
    lines = chosen_files(spark, source, "text", **options)
    comment = source.option("comment")
    if comment:
        lines = lines.filter(~F.col("value").startswith(F.lit(comment)))
    return lines.filter(F.trim("value") != "").select(
        file_name().alias("file"),
        F.monotonically_increasing_id().alias("n"),
        F.col("_metadata.file_block_start").alias("block"),
        (F.col("_metadata.file_block_start") == 0).alias("first"),
        "value",
    )


def _by_file(lines: DataFrame, source: SourceConfig) -> DataFrame:
    """Columns file, header, and counts of lines: open (a quote is not closed), after (text follows
    a closing quote), invalid (not UTF-8).
    """
    return lines.groupBy("file").agg(
        F.min_by("value", F.when(F.col("first"), F.col("n"))).alias("header"),
        *(n.alias(name) for name, n in _quoting(source).items()),
        F.sum((~is_utf8(F.col("value"))).cast("int")).alias("invalid")
        if _encoding(source) == "utf8"
        else F.lit(0).alias("invalid"),
    )


def _quoting(source: SourceConfig) -> dict[str, Column]:
    multi_line, nothing = _multi_line(source), F.lit(0)
    if not _quote(source) or multi_line == "true":  # a line alone tells nothing where fields span
        return {"open": nothing, "after": nothing}
    state = _state_after("", source)
    judged = nothing if multi_line == "false" else F.sum((state == _OPEN).cast("int"))
    return {"open": judged, "after": F.sum((state == _WRONG).cast("int"))}


def _spanning(lines: DataFrame, source: SourceConfig) -> DataFrame:
    """As :func:`_by_file` for fields that may span lines. Columns file, open and after."""
    nothing = F.lit(0).cast("bigint")
    if not _quote(source):
        return lines.select("file", nothing.alias("open"), nothing.alias("after")).distinct()
    states = [
        _state_after(before, source).alias(name)
        for name, before in (("closed", ""), ("opened", _patterns(source)[2]))
    ]
    folded = lines.select("file", "block", "n", *states).mapInArrow(_fold, _FOLDED)
    parts = F.array_sort(F.collect_list(F.struct(*(c for c in folded.columns if c != "file"))))
    start = F.struct(F.lit(_CLOSED).alias("end"), nothing.alias("bad"))

    def follow(so_far: Column, part: Column) -> Column:
        inside = so_far["end"] == _OPEN
        end = F.when(inside, part["end_1"]).otherwise(part["end_0"])
        bad = F.when(inside, part["bad_1"]).otherwise(part["bad_0"])
        return F.struct(end.alias("end"), (so_far["bad"] + bad).alias("bad"))

    by_file = folded.groupBy("file").agg(F.aggregate(parts, start, follow).alias("at"))
    # Behind a wrong line, what is open is a guess.
    unclosed = (F.col("at.end") == _OPEN) & (F.col("at.bad") == 0)
    return by_file.select(
        "file", unclosed.cast("int").alias("open"), F.col("at.bad").alias("after")
    )


def _fold(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    fields = [field.split(" ") for field in _FOLDED.split(", ")]
    schema = pa.schema([(name, _ARROW[kind]) for name, kind in fields])
    for batch in batches:
        rows = zip(*(column.to_pylist() for column in batch.columns), strict=True)
        folded = []
        for (file, block), group in groupby(rows, itemgetter(0, 1)):
            lines = list(group)
            states = [line[3:] for line in lines]
            row = (file, block, lines[0][2], *_ends(states, _CLOSED), *_ends(states, _OPEN))
            folded.append(dict(zip(schema.names, row, strict=True)))
        yield pa.RecordBatch.from_pylist(folded, schema)


def _ends(states: list[tuple[int, int]], state: int) -> tuple[int, int]:
    """The state after lines that begin in ``state``, and the number of wrong lines."""
    bad = 0
    for after in states:
        state = after[state]
        if state == _WRONG:
            state, bad = _CLOSED, bad + 1
    return state, bad


def _state_after(before: str, source: SourceConfig) -> Column:
    """The state where a line ends. ``before``: pattern of what closes a field that is open."""
    field, begun, _ = _patterns(source)
    separator, value = re.escape(_separator(source)), F.col("value")
    whole = f"(?:{field})(?:{separator}(?:{field}))*+$"
    is_open = f"(?:(?:{field}){separator})*+{begun}$"
    if before:
        inside, close = before, f"{re.escape(_quote(source))}[ ]*+"
        whole = f"{inside}{close}(?:$|{separator}{whole})"
        is_open = f"{inside}(?:$|{close}{separator}{is_open})"
    return (
        F.when(value.rlike(f"(?s)^{whole}"), _CLOSED)
        .when(value.rlike(f"(?s)^{is_open}"), _OPEN)
        .otherwise(_WRONG)
    )


def _quote(source: SourceConfig) -> str:
    given = source.option("quote")
    return '"' if given is None else given


def _patterns(source: SourceConfig) -> tuple[str, str, str]:
    """Java regular expressions for a whole field, for an unclosed one, and for what is in quotes.

    Possessive quantifiers (``*+``) never backtrack, so long lines cost neither time nor stack.
    """
    quote, escape = _quote(source), source.option("escape") or '"'
    q, e = re.escape(quote), re.escape(escape)
    inside = f"[^{q}]*+(?:{q}{q}[^{q}]*+)*+"
    if escape != quote:
        inside = f"[^{q}{e}]*+(?:(?:{e}(?:.|$)|{q}{q})[^{q}{e}]*+)*+"
    trimmed = (source.option("ignoreLeadingWhiteSpace") or "").lower() == "true"
    begun = f"{'[ ]*+' if trimmed else ''}{q}{inside}"
    separator = re.escape(_separator(source))
    bare = f"(?!{'[ ]*+' if trimmed else ''}{q})(?:(?!{separator}).)*+"
    return f"{begun}{q}[ ]*+(?={separator}|$)|{bare}", begun, inside


def _separator(source: SourceConfig) -> str:
    given = source.option("sep") or source.option("delimiter") or ","
    return given.replace("\\t", "\t")


def _check_headers(found: DataFrame, source: SourceConfig) -> None:
    by_header = found.groupBy("header").agg(F.count(F.lit(1)).alias("n"), F.min("file").alias("in"))
    rows = by_header.orderBy(F.desc("n"), "header").limit(_MOST_SHOWN + 1).collect()
    names: dict[tuple[str, ...], str] = {}
    for row in rows:
        names.setdefault(_names(row["header"] or "", source), row["in"])
    if len(names) > 1:
        shown = "; ".join(f"{', '.join(name)} in {file}" for name, file in names.items())
        raise SourceError(
            "all CSV files of source.path must have the same header, in the same order. "
            f"Got {shown}.",
            hint="read the files as separate sources, or rewrite them with one header; if they "
            'have no header, set source.options to {header: "false"}.',
        )


def _names(header: str, source: SourceConfig) -> tuple[str, ...]:
    separator, quote = _separator(source), _quote(source)
    if len(separator) != 1 or len(quote) > 1:
        return (header,)
    if quote:
        fields = csv.reader([header], delimiter=separator, quotechar=quote)
    else:
        fields = csv.reader([header], delimiter=separator, quoting=csv.QUOTE_NONE)
    return tuple(name.strip().lower() for name in next(fields, []))
