"""The command ``sql``: questions to the tables of an output."""

from __future__ import annotations

import csv
import io
import sys

import click

from semdedup_spark.cli.options import opened_job, reading_options
from semdedup_spark.report.terminal import open_console, say

_WIDTH_OF_FILES = 10_000


@click.command()
@reading_options
@click.argument("query", required=False)
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "csv", "json"]),
    default="table",
    show_default=True,
    help="How to print the rows; json prints an object on each line.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    help="Most rows to print.",
)
def sql(config: str, overrides: tuple[str, ...], query: str | None, form: str, limit: int) -> None:
    """Answer a SQL query over the tables of the output, or list them.

    The query names tables as scores, duplicates, assignment and so on. It cannot change them.

    Parameters
    ----------
    config
        Path of the job file.
    overrides
        ``key.path=value`` settings.
    query
        The query. ``None``: list the tables and their columns.
    form
        ``table``, ``csv`` or ``json``.
    limit
        Number of rows to print, at most.
    """
    job = opened_job(config, overrides, None)
    from semdedup_spark.pipeline.queries.sql import run_sql, tables_of
    from semdedup_spark.report.tables import print_answer
    from semdedup_spark.tables.catalog import read_table

    if query is None:
        for table in tables_of(job):
            columns = read_table(job.spark, job.root, table).columns
            say(f"{table}: {', '.join(columns)}")
        return
    answer = run_sql(job, query, limit=limit)
    if form == "csv":
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows((answer.columns, *answer.rows))
        click.echo(text.getvalue(), nl=False)
    elif form == "json":
        for document in answer.documents:
            click.echo(document)
    else:
        is_terminal = sys.stdout.isatty()  # no line of a file is folded
        print_answer(open_console(width=None if is_terminal else _WIDTH_OF_FILES), answer)
    if answer.more:
        say(f"the first {limit:,} rows; --limit shows more", err=True)


COMMANDS = (sql,)
