"""What Spark's CSV reader would lose without a word, looked for in the lines themselves."""

from __future__ import annotations

import csv
import re

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from semdedup_spark.config import SourceConfig
from semdedup_spark.errors import SourceError
from semdedup_spark.sources.formats.folder import chosen_files, file_name
from semdedup_spark.sources.row_checks import is_utf8

_MOST_SHOWN = 3


def check_csv(spark: SparkSession, source: SourceConfig) -> None:
    """Raise :class:`SourceError` where files begin with different headers, where a line is not
    UTF-8, or where quotes are not those of the options. One pass over the lines.
    """
    if is_wide(source):
        return
    found = _by_file(_lines(spark, source), source)
    if (source.option("header") or "true").lower() == "true":
        _check_headers(found, source)
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
            f"CSV must be UTF-8. {wrong['invalid']:,} lines are not, some of them in "
            f"{wrong['invalid_in']}.",
            hint="set source.options to {encoding: its encoding}, such as ISO-8859-1.",
        )
    if wrong["open"]:
        raise _open_quotes(source, wrong["open"], wrong["open_in"])
    if wrong["after"]:
        raise SourceError(
            f"a quoted field of CSV must end at its closing quote. In {wrong['after']:,} lines "
            f"text follows it, some of them in {wrong['after_in']}.",
            hint=r"where a backslash stands before quotes inside of a field, set source.options to "
            r"""{escape: "\\"}; where quotes are characters as any others, to {quote: ""}.""",
        )


def _open_quotes(source: SourceConfig, n: int, file: str) -> SourceError:
    if _multi_line(source) == "true":
        return SourceError(
            f"quotes of CSV must come in pairs, or one field takes all that follows. In {file} "
            "one has no other.",
            hint="mend that file; in a field, a quote is written twice, and the field in quotes.",
        )
    return SourceError(
        f"a quoted field of CSV must end in the line where it begins. In {n:,} lines it does not, "
        f"some of them in {file}.",
        hint='where fields hold line breaks, set source.options to {multiLine: "true"}; where '
        'quotes are characters as any others, to {quote: ""}.',
    )


def is_wide(source: SourceConfig) -> bool:
    """Whether a character of the encoding has more bytes than one, and so has the end of a line."""
    return _encoding(source).startswith(("utf16", "utf32"))


def _encoding(source: SourceConfig) -> str:
    named = source.option("encoding") or source.option("charset") or "utf8"
    return named.lower().replace("-", "").replace("_", "")


def _multi_line(source: SourceConfig) -> str | None:
    given = source.option("multiLine") or source.option("wholeFile")
    return None if given is None else given.lower()


def _lines(spark: SparkSession, source: SourceConfig) -> DataFrame:
    """file, n (the order of the lines of a file), first (whether of its first part), value."""
    separator = source.option("lineSep")
    options = {} if separator is None else {"lineSep": separator}
    lines = chosen_files(spark, source, "text", **options)
    comment = source.option("comment")
    if comment:
        lines = lines.filter(~F.col("value").startswith(F.lit(comment)))
    return lines.filter(F.trim("value") != "").select(
        file_name().alias("file"),
        F.monotonically_increasing_id().alias("n"),
        (F.col("_metadata.file_block_start") == 0).alias("first"),
        "value",
    )


def _by_file(lines: DataFrame, source: SourceConfig) -> DataFrame:
    """file, header; how many lines are open, have text after a quoted field, are not UTF-8."""
    return lines.groupBy("file").agg(
        F.min_by("value", F.when(F.col("first"), F.col("n"))).alias("header"),
        *(n.alias(name) for name, n in _quoting(source).items()),
        F.sum((~is_utf8(F.col("value"))).cast("int")).alias("invalid")
        if _encoding(source) == "utf8"
        else F.lit(0).alias("invalid"),
    )


def _quoting(source: SourceConfig) -> dict[str, Column]:
    quote, multi_line = source.option("quote"), _multi_line(source)
    quote = '"' if quote is None else quote
    escape = source.option("escape") or '"'
    nothing = F.lit(0)
    if not quote:
        return {"open": nothing, "after": nothing}
    value = F.col("value")
    if multi_line == "true":
        # Whatever lines a field has: of quotes that are not escaped there is an even number.
        plain = value if escape == quote else F.regexp_replace(value, f"{re.escape(escape)}.", "")
        others = F.regexp_replace(plain, re.escape(quote), "")
        return {"open": F.sum(F.length(plain) - F.length(others)) % 2, "after": nothing}
    field, begun = _patterns(source, quote, escape)
    separator = re.escape(_separator(source))
    whole = value.rlike(f"(?s)^(?:{field})(?:{separator}(?:{field}))*+$")
    is_open = value.rlike(f"(?s)^(?:(?:{field}){separator})*+{begun}$")
    judged = nothing if multi_line == "false" else F.sum((~whole & is_open).cast("int"))
    return {"open": judged, "after": F.sum((~whole & ~is_open).cast("int"))}


def _patterns(source: SourceConfig, quote: str, escape: str) -> tuple[str, str]:
    """Java's patterns of a whole field, and of one that is not closed. No part ever gives back what
    it took (``*+``), so that long lines need neither time nor stack.
    """
    q, e = re.escape(quote), re.escape(escape)
    inside = f"[^{q}]*+(?:{q}{q}[^{q}]*+)*+"
    if escape != quote:
        inside = f"[^{q}{e}]*+(?:(?:{e}.|{q}{q})[^{q}{e}]*+)*+"
    trimmed = (source.option("ignoreLeadingWhiteSpace") or "").lower() == "true"
    begun = f"{'[ ]*+' if trimmed else ''}{q}{inside}"
    separator = re.escape(_separator(source))
    bare = f"(?!{'[ ]*+' if trimmed else ''}{q})(?:(?!{separator}).)*+"
    return f"{begun}{q}[ ]*+(?={separator}|$)|{bare}", begun


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
            f"all CSV files of source.path must have one header, in one order. Got {shown}.",
            hint="read them apart, or write them anew with one header; where files have none, set "
            'source.options to {header: "false"}.',
        )


def _names(header: str, source: SourceConfig) -> tuple[str, ...]:
    separator, quote = _separator(source), source.option("quote")
    quote = '"' if quote is None else quote
    if len(separator) != 1 or len(quote) > 1:
        return (header,)
    if quote:
        fields = csv.reader([header], delimiter=separator, quotechar=quote)
    else:
        fields = csv.reader([header], delimiter=separator, quoting=csv.QUOTE_NONE)
    return tuple(name.strip().lower() for name in next(fields, []))
