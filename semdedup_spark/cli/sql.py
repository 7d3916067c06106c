"""The command ``sql``: questions to the tables of an output."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from semdedup_spark.cli.options import opened_job, reading_options
from semdedup_spark.report.terminal import open_console, say
from semdedup_spark.visible import inline, shown

if TYPE_CHECKING:
    from semdedup_spark.answers.sql import Answer

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
    help='How to print the rows. In csv a null is empty and an empty text is ""; json prints an '
    "object on each line.",
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
    from semdedup_spark.tables.catalog import read_table

    if query is None:
        for table in tables_of(job):
            columns = read_table(job.spark, job.root, table).columns
            say(f"{inline(table)}: {', '.join(map(inline, columns))}")
        return
    answer = run_sql(job, query, limit=limit)
    print_rows(answer, form)
    if answer.more:
        say(f"the first {limit:,} rows; --limit shows more", err=True)


def print_rows(answer: Answer, form: str) -> None:
    """Print rows on standard output. A file or a pipe gets csv and json as the data are.

    Parameters
    ----------
    answer
        The rows.
    form
        ``table``, ``csv`` or ``json``.
    """
    from semdedup_spark.answers.sql import csv_text, json_text
    from semdedup_spark.report.tables import print_answer

    is_terminal = sys.stdout.isatty()
    if form == "table":  # no line of a file is folded
        print_answer(open_console(width=None if is_terminal else _WIDTH_OF_FILES), answer)
        return
    if form == "json":
        text = "".join(f"{json_text(document)}\n" for document in answer.documents)
        text = shown(text) if is_terminal else text
    else:
        rows = [answer.columns, *answer.rows]
        if is_terminal:
            rows = [tuple(v if v is None else shown(v) for v in row) for row in rows]
        text = csv_text(rows)
    sys.stdout.writelines([text])  # click.echo would take escape sequences out of the data
    sys.stdout.flush()


COMMANDS = (sql,)
