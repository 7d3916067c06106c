"""``semdedup demo``: run the job on the docstring corpus, and show what the result teaches."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from semdedup_spark.config import load_config
from semdedup_spark.demo.docstrings import collect_docstrings, write_corpus
from semdedup_spark.pipeline import JobSummary, open_job, run_job
from semdedup_spark.pipeline.queries.summary import kept_neighbors, removed_examples
from semdedup_spark.report.console import console_listener, print_examples
from semdedup_spark.report.terminal import open_console, print_line, say
from semdedup_spark.session.spark_session import open_session

if TYPE_CHECKING:
    from semdedup_spark.pipeline import Job

_JOB = """\
output: {output}
source: {{kind: text, format: jsonl, path: {corpus}, id: id, content: text}}
embed: {{encoder: minilm, max_length: 128, commit_seconds: 10}}
cluster: {{n_clusters: 64}}
score: {{rank_by: low, eps_max: 0.3}}
select: {{eps: 0.05}}
"""
_EXAMPLES = 5
# Opposites that differ in one word. The model finds them nearly equal; removing one is a mistake.
_OPPOSITES = r"\.(as_ordered|cot|nsmallest|lstrip|isna|cummax)$"
_MISTAKES = 4
_LOOSE_EPS = 0.2


def run_demo(
    output: Path,
    n_rows: int,
    overrides: Sequence[str],
    print_result: Callable[[Job, JobSummary, str], None],
) -> None:
    """Write the corpus and its job file, run the job, and show examples of its result.

    Parameters
    ----------
    output
        Directory for the corpus, the job file and the tables.
    n_rows
        Number of docstrings to read.
    overrides
        ``key.path=value`` settings.
    print_result
        Prints the summary of a job that has run; it gets the path of the job file, too.
    """
    output = output.resolve()
    rows = collect_docstrings(n_rows)
    corpus = write_corpus(rows, output / "corpus")
    say(f"{len(rows):,} docstrings of {len({row.library for row in rows})} libraries", err=True)
    job_file = output / "job.yml"
    # A JSON string is a valid YAML string, whatever characters the path holds.
    places = {"output": str(output / "tables"), "corpus": str(corpus)}
    quoted = {name: json.dumps(place, ensure_ascii=False) for name, place in places.items()}
    job_file.write_text(_JOB.format(**quoted), encoding="utf-8")
    config = load_config(job_file, overrides)
    job = open_job(open_session(little_data=True), config, listener=console_listener())
    summary = run_job(job)
    console = open_console()
    print_examples(
        console,
        f"removed (-) beside its survivor (+), at eps {summary.eps:g}",
        removed_examples(job, content="text", n=_EXAMPLES),
    )
    print_examples(
        console,
        f"kept, but an eps of {_LOOSE_EPS} would remove them: alike to the model, not the same",
        kept_neighbors(
            job,
            content="text",
            ids_like=_OPPOSITES,
            low=1 - _LOOSE_EPS,
            high=1 - summary.eps,
            n=_MISTAKES,
        ),
        signs=("=", "="),
    )
    console.print()
    print_result(job, summary, str(job_file))
    again = f"change a key in {job_file} and: semdedup run --config {job_file}"
    print_line(console, f"\n{again}")
