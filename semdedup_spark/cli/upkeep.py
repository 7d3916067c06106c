"""Commands on tables that live on from night to night: new centroids, and erasure."""

from __future__ import annotations

from pathlib import Path

import click

from semdedup_spark.cli.options import job_options, wait_option, working_job
from semdedup_spark.cli.stages import print_result
from semdedup_spark.report.terminal import say

_SHOWN = 10  # of ids that are not there


@click.command()
@job_options
@wait_option
def recluster(config: str, overrides: tuple[str, ...], run_id: str | None, wait: float) -> None:
    """Train new centroids on all rows, and score again by them.

    With recall exact and a rank_by other than low and high the kept rows stay the same.
    """
    from semdedup_spark.pipeline import run_recluster

    with working_job(config, overrides, run_id, wait) as job:
        print_result(job, run_recluster(job))


@click.command()
@job_options
@wait_option
@click.option("--id", "ids", multiple=True, help="Key of a row to erase; may be repeated.")
@click.option(
    "--ids", "ids_file", type=click.Path(path_type=Path), help="A file of keys, one a line."
)
def forget(
    config: str,
    overrides: tuple[str, ...],
    run_id: str | None,
    wait: float,
    ids: tuple[str, ...],
    ids_file: Path | None,
) -> None:
    """Erase rows from every table, of named selections too, and bring back what only they hid.

    Delete them in the source as well, or the next change of the source brings them back as new
    rows. Old files keep them until VACUUM removes these.
    """
    from semdedup_spark.pipeline import run_forget
    from semdedup_spark.pipeline.ids import read_ids

    keys = [*ids, *(() if ids_file is None else read_ids(ids_file))]
    with working_job(config, overrides, run_id, wait) as job:
        done = run_forget(job, keys)
    say(f"forgotten: {done.embedded:,} rows of embeddings, {done.quarantined:,} of quarantine")
    if done.unknown:
        shown = ", ".join(repr(id_) for id_ in done.unknown[:_SHOWN])
        more = ", ..." if len(done.unknown) > _SHOWN else ""
        say(f"not there, or no longer: {len(done.unknown):,} ids: {shown}{more}")
    say("Older versions of the tables still hold them. To remove those, when the retention")
    say("time has passed (Delta's default is 7 days):")
    for table in done.tables:
        say(f"  VACUUM {table}")
    if done.stale:
        say("These cannot be made again with their settings and hold the rows still; make them")
        say(f"with others, or drop them: {', '.join(done.stale)}")


COMMANDS = (recluster, forget)
