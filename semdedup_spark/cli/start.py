"""Commands for the beginning: a first job file, and every key that one may have."""

from __future__ import annotations

import json
import re
import shlex
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import click
import yaml

from semdedup_spark.errors import ConfigError, SourceError
from semdedup_spark.paths import local
from semdedup_spark.report.files import check_writable, replace_file
from semdedup_spark.report.terminal import say
from semdedup_spark.sql_text import variable_in

if TYPE_CHECKING:
    from semdedup_spark.sources.first_look import FirstLook

_ENCODER = {"text": "minilm", "images": "pixels", "vectors": "none"}
_NOT_PLAIN = re.compile(r"[^ -~]")
# docs/how-to/choose-eps.md says where these begin.
_EPS = {"text": 0.05, "images": 0.002, "vectors": 0.05}
_HORIZON = {"text": 0.3, "images": 0.05, "vectors": 0.3}


@click.command()
@click.argument("data")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("job.yml"),
    show_default=True,
    help="The job file to write; an existing one is not overwritten.",
)
@click.option("--id", "key", help="The column of the keys, in place of the one that is guessed.")
@click.option("--content", help="The column to compare, in place of the one that is guessed.")
@click.option("--output", default="./out", show_default=True, help="Where the tables will lie.")
def init(data: str, out: Path, key: str | None, content: str | None, output: str) -> None:
    """Write a first job file for DATA: a file, a folder or a pattern on this machine.

    Looks at a few rows, without Spark, and guesses what is in them. Look at what it wrote.

    Parameters
    ----------
    data
        A file, a folder, or a pattern.
    out
        The job file.
    key
        The column of the keys. ``None``: it is guessed.
    content
        The column to compare. ``None``: it is guessed.
    output
        Where the tables will lie.

    Raises
    ------
    ConfigError
        The job file is there already, or would lie in an object storage.

    Notes
    -----
    Raises :class:`SourceError` if the data cannot be read or lack a column that was named, and
    :class:`ConfigError` if no column can be compared.
    """
    from semdedup_spark.config import parse_config
    from semdedup_spark.sources.first_look import first_look

    if local(str(out)) is None:
        raise ConfigError(f"--out must name a file on this machine. Got {str(out)!r}.")
    if out.exists():
        raise ConfigError(f"--out must name a new file. {str(out)!r} is there already.")
    check_writable("--out", out)
    look = first_look(data)
    _check_columns(look, key, content)
    text = job_file(look, key, content, output)
    parse_config(yaml.safe_load(text))  # before it is written
    replace_file(out, text.encode())
    say(text)
    say(f"written to {out}. Look at it, then: semdedup run --config {shlex.quote(str(out))}")


def _check_columns(look: FirstLook, key: str | None, content: str | None) -> None:
    from semdedup_spark.config.source import CONTENT_HASH

    known = {*look.columns, CONTENT_HASH}
    if look.columns and key and key not in known:
        raise SourceError.missing_column(key, known, key="--id")
    if look.columns and content and content not in look.columns:
        raise SourceError.missing_column(content, look.columns, key="--content")
    if look.id and not (content or look.content):
        raise ConfigError(
            "a column of texts, pictures or vectors must be there. "
            f"Got {', '.join(map(repr, look.columns)) or 'no columns'}.",
            hint="name one with --content." if look.columns else "give data that hold rows.",
        )


def job_file(look: FirstLook, key: str | None, content: str | None, output: str) -> str:
    """Write a job file.

    Parameters
    ----------
    look
        What is known of the source.
    key
        The column of the keys, if it is not the one that was guessed.
    content
        The column to compare, if it is not the one that was guessed.
    output
        Where the tables will lie.

    Returns
    -------
    str
        YAML with comments.
    """
    content, key = content or look.content, key or look.id
    source = {"kind": look.kind, "format": look.format, "path": look.path}
    source |= {name: value for name, value in (("id", key), ("content", content)) if value}
    roles = [f"  {name}: {_quoted(value)}" for name, value in source.items()]
    rank_by = None
    if look.format == "files":
        rank_by = "length DESC", "of several copies the largest file stays"
    elif look.kind == "text" and content and not variable_in(content):
        column = "`" + content.replace("`", "``") + "`"
        rank_by = f"length({column}) DESC", "of several similar texts the longest stays"
    score = [f"  rank_by: {_quoted(rank_by[0])}  # {rank_by[1]}"] if rank_by else []
    others = [name for name in look.columns if name not in (key, content)]
    return "\n".join(
        [
            f"output: {_quoted(output)}  # the tables; or a URI, or catalog.schema",
            "source:",
            *roles,
            *([f"  # other columns: {_comment(others)}"] if others else []),
            f"embed: {{encoder: {_ENCODER[look.kind]}}}",
            "score:",
            "  recall: exact  # finds every pair that is more similar than 1 - eps_max",
            f"  eps_max: {_HORIZON[look.kind]}  # the largest eps that you will ask for",
            *score,
            "# A row goes if its similarity to an earlier one is above 1 - eps.",
            f"select: {{eps: {_EPS[look.kind]}}}",
            "# `semdedup config` prints every key with its default and meaning.",
            "",
        ]
    )


def _quoted(value: str) -> str:
    """A YAML text in ASCII.

    JSON's own escapes will not do: of a character above U+FFFF they make two halves, and YAML takes
    them for two characters.
    """
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ConfigError(
            f"paths and columns of a job file must be text that UTF-8 can hold. Got {value!r}.",
            hint="rename the file or folder, or name another column with --id or --content.",
        ) from error
    return _NOT_PLAIN.sub(_escape, json.dumps(value, ensure_ascii=False))


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _comment(names: list[str]) -> str:
    # A comment is for people: what UTF-8 cannot hold of a name is a question mark there.
    return ", ".join(_quoted(name.encode(errors="replace").decode()) for name in names)


@click.command()
@click.option(
    "--entry",
    is_flag=True,
    help="Print the path of the file to give to spark-submit instead.",
)
def config(entry: bool) -> None:
    """Print every key of a job file, with its default, its unit and what it means.

    Parameters
    ----------
    entry
        Whether to print where the entry for ``spark-submit`` lies instead.
    """
    if entry:
        click.echo(files("semdedup_spark").joinpath("__main__.py"))
        return
    text = files("semdedup_spark.config").joinpath("base.yml").read_text(encoding="utf-8")
    click.echo(text, nl=False)


COMMANDS = (init, config)
