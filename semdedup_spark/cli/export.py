"""The command that exports a table to formats that training code reads."""

from __future__ import annotations

from pathlib import Path

import click

from semdedup_spark.report.terminal import say


@click.command()
@click.option(
    "--table", required=True, help="Directory or URI of a Delta table, such as out/pruned."
)
@click.option(
    "--version",
    "at",
    type=click.IntRange(min=0),
    help="Version of the table.  [default: the newest]",
)
@click.option(
    "--to",
    type=click.Choice(["webdataset", "huggingface", "parquet"]),
    required=True,
    help="Output format.",
)
@click.option("--content", help="Column that holds the image or text. Not used for parquet.")
@click.option(
    "--rows-per-file",
    type=click.IntRange(min=1),
    default=10_000,
    show_default=True,
    help="Rows of one output file. Not used for huggingface.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Directory to write.",
)
def export(
    table: str, at: int | None, to: str, content: str | None, rows_per_file: int, output: Path
) -> None:
    """Write a table as tar shards, for load_from_disk, or as Parquet. Does not use Spark.

    Parameters
    ----------
    table
        Directory or URI of a Delta table.
    at
        Version of the table. ``None``: the newest.
    to
        ``webdataset``, ``huggingface`` or ``parquet``.
    content
        Column that holds the image or text.
    rows_per_file
        Rows of one output file.
    output
        Directory to write.
    """
    from semdedup_spark.exports.huggingface import export_dataset, export_parquet
    from semdedup_spark.exports.shards import export_shards
    from semdedup_spark.tables.delta_files import open_version

    opened = open_version(table, at)
    if to == "webdataset":
        export_shards(opened, output, content=content, rows_per_shard=rows_per_file)
    elif to == "huggingface":
        export_dataset(opened, output, image=content)
    else:
        export_parquet(opened, output, rows_per_file=rows_per_file)
    say(f"{len(opened):,} rows of version {opened.version} in {output}")


COMMANDS = (export,)
