"""The command line: arguments to configuration to session to pipeline.

Exit codes: 0 done; 1 failed while running; 2 configuration or input wrong, nothing written;
3 a guard stopped a selection, nothing written. Each group of commands is a module of its own,
which imports what is heavy only where a command runs.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from semdedup_spark import __version__
from semdedup_spark.cli import (
    batches,
    export,
    operations,
    overriding,
    prune,
    reading,
    stages,
    sweep,
)
from semdedup_spark.errors import SemDedupError

_EXTRAS = {
    "pyspark": "spark",
    "delta": "spark",
    "PIL": "images",
    "torch": "text",
    "torchvision": "vision",
    "matplotlib": "report",
    "deltalake": "loader",
    "webdataset": "export",
    "datasets": "export",
    "jinja2": "report",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of ``semdedup``, ``python -m semdedup_spark`` and ``jobs/``."""
    try:
        cli.main(args=None if arguments is None else list(arguments), prog_name="semdedup")
    except SemDedupError as error:
        click.echo(f"semdedup: {error}", err=True)
        sys.exit(error.exit_code)
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get((error.name or "").split(".")[0])
        if extra is None:
            raise
        click.echo(
            f"semdedup: the package {error.name} must be installed. It is not.\n"
            f"  Hint: pip install 'semdedup-spark[{extra}]'",
            err=True,
        )
        sys.exit(2)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="semdedup")
def cli() -> None:
    """Semantic deduplication of a data lake (SemDeDup on Spark and Delta).

    A job is a YAML file: conf/base.yml lists every key. `semdedup run` does all four stages and
    reuses what is still valid; a stage by its name does that stage alone.
    """


for _command in (
    *stages.COMMANDS,
    *overriding.COMMANDS,
    *operations.COMMANDS,
    *reading.COMMANDS,
    *prune.COMMANDS,
    *export.COMMANDS,
    *batches.COMMANDS,
    *sweep.COMMANDS,
):
    cli.add_command(_command)
