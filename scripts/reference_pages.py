"""Write what says what the code, or other pages, say: reference, llms.txt, the sources of dbt.

`make reference` writes them. tests/test_reference_pages.py fails where a page differs from the
code.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from configparser import ConfigParser
from pathlib import Path

import click
import yaml

import semdedup_spark
from semdedup_spark import errors, schema
from semdedup_spark.cli import cli
from semdedup_spark.config import JobConfig
from semdedup_spark.presets import PRESETS
from semdedup_spark.schema.comments import COMMENTS, SAME_COLUMNS
from semdedup_spark.schema.measures import COUNTS, METRICS
from semdedup_spark.schema.reasons import REASONS
from semdedup_spark.session.pairs import DEFAULT, PAIRS

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
_NOTICE = "<!-- Written by `make reference`. Do not edit it by hand. -->"
# A line of conf/base.yml: indentation, key and value, comment.
_KEY = re.compile(r"^( *)(\w+):(.*?)(?: +# ?(.*))?$")
_GOES_ON = re.compile(r"^ +# ?(.*)$")
_OF_TABLES = {
    schema.EMBEDDINGS: "One row for each source row that was embedded.",
    schema.CENTROIDS: "One row for each cluster, as it was trained.",
    schema.CLUSTERS: "One row for each cluster, as it is after scoring.",
    schema.SCORES: "One row for each row of `embeddings`. It answers every eps up to `eps_max`.",
    schema.DUPLICATES: "One row for each removed row. A named selection has its own, such as "
    "`duplicates_strict`.",
    schema.ASSIGNMENT: "One row for each row that was read, whatever became of it. A named "
    "selection has its own, such as `assignment_strict`.",
    schema.PRUNING: "One row for each row of `embeddings`. Written by `semdedup prune`.",
    schema.PROTECTED: "One row for each row that `select.must_agree` or a pair of `never_merge` "
    "saved. A named selection has its own.",
    schema.REVIEW: "One row for each kept row between `select.eps` and `select.review`, for people "
    "to judge. A named selection has its own.",
    schema.OVERRIDES: "One row for each row that a person decided about, by `semdedup restore` or "
    "`semdedup remove`.",
    schema.VERDICTS: "One row for each pair of rows that a reviewer judged, by `semdedup audit`.",
    schema.NEVER_MERGE: "One row for each pair that stays apart, by `semdedup audit --apply` or "
    "by SQL, from the next selection on.",
    schema.ALSO_MERGE: "One row for each pair that was judged a duplicate, by `semdedup audit "
    "--apply` or by SQL. A selection with `select.review` removes such rows.",
    schema.QUARANTINE: "One row for each source row that could not be embedded.",
    schema.RUNS: "The ledger: one row for each stage of a run.",
    schema.LEASES: "One row for each claim, renewal or release of the output by a run.",
}


def _cell(text: str) -> str:
    """Text for a cell of a table. Doubled backticks are those of docstrings."""
    return _code(text.replace("``", "`")).replace("<", "&lt;")


def _code(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _names(requirements: str) -> str:
    return ", ".join(f"`{_code(one)}`" for one in requirements.split())


def _table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    yield "| " + " | ".join(header) + " |"
    yield "|" + "---|" * len(header)
    for row in rows:
        yield "| " + " | ".join(row) + " |"


def _page(title: str, lead: str, *parts: str) -> str:
    return "\n".join([f"# {title}", "", lead, "", _NOTICE, "", *parts]).rstrip() + "\n"


def configuration() -> str:
    """Write the page of the configuration keys, from the comments of conf/base.yml.

    Returns
    -------
    str
        The page.
    """
    sections: dict[str, list[list[str]]] = {"": []}
    about: dict[str, str] = {}
    section, last = "", [""]
    for line in (ROOT / "conf" / "base.yml").read_text().splitlines():
        if key := _KEY.match(line):
            indent, name, value, comment = key.groups()
            if not indent and not value.strip():
                section, last = name, [comment or ""]
                sections[section] = []
                about[section] = comment or ""
                continue
            section = section if indent else ""
            path = f"{section}.{name}" if section else name
            last = [path, value.strip(), comment or ""]
            sections[section].append(last)
        elif more := _GOES_ON.match(line):
            last[-1] += f" {more[1]}"
    parts: list[str] = []
    for name, rows in sections.items():
        parts += ["", f"## {name}" if name else "## Whole job", ""]
        parts += [f"{_cell(about[name]).capitalize()}.", ""] if about.get(name) else []
        cells = [(f"`{key}`", _default(key, value), _cell(text)) for key, value, text in rows]
        parts += _table(("key", "default", "meaning"), cells)
    return _page(
        "Configuration keys",
        "For those who write a job file: every key with its default, meaning and unit.",
        "A job file is YAML, and states only the keys that differ from the defaults. Unknown keys "
        "are errors. `--set key.path=value` overrides one key on the command line. The same list "
        "as a file is `conf/base.yml` in the repository.",
        *parts,
    )


def _default(key: str, value: str) -> str:
    """The default of a key. What stands in conf/base.yml for a required one is an example."""
    field = JobConfig.model_fields.get(key)
    return "(required)" if field is not None and field.is_required() else f"`{_code(value)}`"


def tables() -> str:
    """Write the page of the tables, from the comments that their columns carry.

    Returns
    -------
    str
        The page.
    """
    parts = [
        "All tables are Delta tables under `output`, readable by Spark, delta-rs, and whatever "
        "reads Delta. Each column carries the comment that is shown here, so `DESCRIBE TABLE` "
        "shows it, too.",
        "",
        "## deduplicated and pruned",
        "",
        "One row for each kept row, with the source's own columns, unchanged. `deduplicated` is "
        "written by `semdedup select`, `pruned` by `semdedup prune`. A named selection has its "
        "own, such as `deduplicated_strict`. With `select.write: view` or `none` there is no table "
        "`deduplicated`, see [Operate](../how-to/operate.md#the-kept-rows-without-a-copy). With "
        "`clone` the kept rows are in a [clone of the source]"
        "(../how-to/operate.md#a-clone-of-the-source), `cloned_1` or `cloned_2`.",
    ]
    same = {of: name for name, of in SAME_COLUMNS.items()}
    for name, comments in COMMENTS.items():
        parts += ["", f"## {name}", "", _OF_TABLES[name], ""]
        if name in same:
            parts += [
                f"With a [`reference`](../how-to/decontamination.md), `{same[name]}` has the same "
                "columns for the rows of the reference.",
                "",
            ]
        cells = [(f"`{column}`", _cell(comment)) for column, comment in comments.items()]
        parts += _table(("column", "meaning"), cells)
        parts += _reasons() if name == schema.QUARANTINE else []
        parts += _measures() if name == schema.RUNS else []
    lead = "For those who query the output: every table and every column."
    return _page("Tables and columns", lead, *parts)


def _reasons() -> list[str]:
    rows = [(f"`{of}`", _with_keys(r.when), _with_keys(r.remedy)) for of, r in REASONS.items()]
    return [
        "",
        "### Why a row is in quarantine",
        "",
        "These are all values of `reason`. `message` says more of the one row. A row leaves "
        "`quarantine` when a run finds it good, or when it is gone from the source.",
        "",
        *_table(("reason", "what is wrong", "what to do"), rows),
    ]


def _measures() -> list[str]:
    def table(what: str, meanings: dict[str, str]) -> Iterator[str]:
        return _table((what, "meaning"), [(f"`{of}`", _cell(m)) for of, m in meanings.items()])

    return [
        "",
        "### What a stage counts and measures",
        "",
        "Each stage has those that mean something for it. `semdedup run` prints the counts.",
        "",
        *table("in `counts`", COUNTS),
        "",
        *table("in `metrics`", METRICS),
    ]


def _with_keys(text: str) -> str:
    return re.sub(r"\b((?:source|embed)\.\w+|content_hash\(\))", r"`\1`", _cell(text))


def commands() -> str:
    """Write the page of the commands, from their help texts.

    Returns
    -------
    str
        The page.
    """
    group = click.Context(cli, info_name="semdedup")
    parts = ["Options of `semdedup` itself stand before the command:", ""]
    parts += ["```text", _options(cli, group), "```"]
    for name in sorted(cli.commands):
        command = cli.commands[name]
        text = inspect.cleandoc(command.help or "")
        text = re.sub(r"(?<![`\w])(--[\w-]+)", r"`\1`", text)
        with click.Context(command, info_name=name, parent=group) as context:
            parts += ["", f"## {name}", "", text, "", "```text", _options(command, context), "```"]
    lead = "For those who type `semdedup`: every command and every option."
    return _page("Commands", lead, *parts)


def _options(command: click.Command, context: click.Context) -> str:
    """The options by lines of one form, whichever version of click is installed."""
    lines = []
    for option in command.get_params(context):
        record = option.get_help_record(context)
        if record is not None and "--help" not in record[0]:
            lines += [record[0], f"    {' '.join(record[1].split())}"]
    return "\n".join(lines)


def errors_page() -> str:
    """Write the page of the exit codes and errors, from the classes of the errors.

    Returns
    -------
    str
        The page.
    """
    found = [
        kind
        for kind in vars(errors).values()
        if inspect.isclass(kind) and issubclass(kind, errors.SemDedupError)
    ]
    rows = []
    for kind in sorted(found, key=lambda kind: (kind.exit_code, kind.__name__)):
        text = inspect.getdoc(kind) or ""
        summary = re.split(r"\n\w+\n-{3,}\n", text)[0]
        again = "yes" if kind.retryable else "no"
        rows.append((f"`{kind.__name__}`", str(kind.exit_code), again, _cell(summary)))
    parts = [
        "## Exit codes",
        "",
        *_table(
            ("code", "meaning"),
            [
                ("0", "Done."),
                ("1", "Failed while running. The last line says whether the same command goes on."),
                ("2", "Configuration, input or environment wrong. Nothing was written."),
                (
                    "3",
                    "A guard, or a pair of `select.golden`, stopped a selection. Nothing of the "
                    "selection was written. [Look at what would have gone](../how-to/guards.md), "
                    "then change the job file.",
                ),
            ],
        ),
        "",
        "## Errors",
        "",
        "All are in `semdedup_spark.errors`. Each says what must be, what was got, and the way "
        "out. *Retryable* says whether the same command is known to be able to succeed later "
        "without a change.",
        "",
        *_table(("error", "exit code", "retryable", "meaning"), rows),
    ]
    lead = "For those whose run failed, and for schedulers: what each exit code and error means."
    return _page("Exit codes and errors", lead, *parts)


def _from_files() -> Iterator[str]:
    defaults = (ROOT / "conf" / "spark-defaults.conf").read_text(encoding="utf-8")
    needed = re.findall(
        r"^(spark\.sql\.(?:extensions|catalog\.\S+)|spark\.log\.level) +(\S+)$",
        defaults,
        re.MULTILINE,
    )
    yield from (
        "## From a release's files",
        "",
        "A release has a wheel, and a zip for `spark-submit`. Both can also be made of a checkout: "
        "`make wheel zip` writes them to `dist/`. pip takes the file, with extras behind it:",
        "",
        "```bash",
        f"pip install 'semdedup_spark-{semdedup_spark.__version__}-py3-none-any.whl[spark,text]'",
        "```",
        "",
        "`spark-submit` needs no checkout: `semdedup config --entry` prints the path of the entry "
        "of an installed package.",
        "",
        "```bash",
        f"spark-submit --packages {DEFAULT.package} \\",
        *(f"  --conf {key}={value} \\" for key, value in needed),
        '  --py-files semdedup_spark.zip "$(semdedup config --entry)" run --config job.yml',
        "```",
        "",
        "The zip is for workers on which the package is not installed. What it imports must be "
        "installed there. Where it is not, "
        "[send a whole environment](../how-to/clusters.md#workers-that-have-nothing).",
    )


def versions() -> str:
    """Write the page of the versions that go together, from setup.cfg and the table of pairs.

    Returns
    -------
    str
        The page.
    """
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    extras = setup["options.extras_require"]
    parts = [
        f"Python `{setup['options']['python_requires']}` and Java 17 or newer.",
        "",
        "## Spark and Delta",
        "",
        "Each jar of Delta is made for one Spark. Use exactly one of these pairs; not every "
        "release of Delta has a jar for each Spark. The extra `spark` "
        f"is the same as `{DEFAULT.extra}`. A platform such as Databricks or EMR brings its own: "
        "leave these extras out there. Each pair is tested, by `make test-spark VERSION=3.5` and "
        "so on: all make the same tables. With another pair a command says which one to install. "
        "Spark 3.5 is for Python 3.10 and 3.11.",
        "",
        *_table(
            ("extra", "pyspark", "delta-spark", "package of `spark-submit --packages`"),
            [(f"`{p.extra}`", p.pyspark, p.delta, f"`{p.package}`") for p in PAIRS],
        ),
        "",
        "For example `pip install 'semdedup-spark[spark35,text]'`.",
        "",
        "## Extras",
        "",
        "`pip install 'semdedup-spark[spark,text]'` installs two of them. `make test-floor` runs "
        "the tests on the oldest versions that they allow.",
        "",
        *_table(
            ("extra", "installs"),
            [
                (f"`{name}`", _names(packages))
                for name, packages in extras.items()
                if name not in ("dev", "bench", "docs")
            ],
        ),
        "",
        *_from_files(),
    ]
    lead = "For those who install it: which versions of Python, Java, Spark and Delta go together."
    return _page("Versions and extras", lead, *parts)


def deduplicate_page() -> str:
    """Write the page of the function ``deduplicate``, from its docstring and its signature.

    Returns
    -------
    str
        The page.
    """
    text = inspect.getdoc(semdedup_spark.deduplicate) or ""
    about = text.partition("\n\nParameters\n")[0]
    body = text.partition("Parameters\n----------\n")[2].partition("\n\nReturns\n")[0]
    said = dict(re.findall(r"^(\w+)\n((?:    .*\n?)+)", body, re.MULTILINE))
    rows = []
    for name, parameter in inspect.signature(semdedup_spark.deduplicate).parameters.items():
        needed = parameter.default is parameter.empty
        default = "" if needed else f"`{parameter.default!r}`"
        rows.append((f"`{name}`", default, _cell(said[name])))
    returned = text.partition("\nReturns\n-------\n")[2].partition("\n\n")[0]
    meaning = _cell(returned.partition("\n")[2])
    return _page(
        "The function deduplicate",
        "For those who want every parameter of `deduplicate` with its default.",
        about.replace("``", "`"),
        "",
        *_table(("parameter", "default", "meaning"), rows),
        "",
        f"It returns {meaning} [In a notebook](../tutorials/notebook.md) shows them at work.",
    )


def guards() -> str:
    """Write the table of presets into the page of guards, between two marks.

    Returns
    -------
    str
        The page.
    """
    page = (DOCS / "how-to/guards.md").read_text(encoding="utf-8")
    head, begin, rest = page.partition("<!-- Presets, written by `make reference` -->\n")
    _, end, tail = rest.partition("<!-- End of the presets -->\n")
    rows = [
        (
            f"`{preset.name}`",
            _cell(preset.protects),
            _cell(preset.languages),
            " / ".join(map(_cell, preset.differ)),
            " / ".join(map(_cell, preset.same)),
        )
        for preset in PRESETS.values()
    ]
    header = ("preset", "protects", "languages", "protected", "not protected")
    table = "\n".join(_table(header, rows))
    return f"{head}{begin}\n{table}\n\n{end}{tail}"


def dbt_sources() -> str:
    """Write the tables of an output as sources of dbt, from the comments that their columns carry.

    Returns
    -------
    str
        A YAML file.
    """
    kept = "One row for each kept row, with the source's own columns, unchanged."
    tables: list[dict[str, object]] = [
        {"name": schema.DEDUPLICATED, "description": kept},
        {"name": schema.PRUNED, "description": f"{kept} Written by `semdedup prune`."},
    ]
    for name, comments in COMMENTS.items():
        columns = [{"name": of, "description": comment} for of, comment in comments.items()]
        tables.append({"name": name, "description": _OF_TABLES[name], "columns": columns})
    source = {
        "name": "semdedup",
        "description": "The output of a job of semdedup_spark.",
        "schema": "{{ var('semdedup_schema', 'dedup') }}",
        "tables": tables,
    }
    text = yaml.safe_dump({"version": 2, "sources": [source]}, sort_keys=False, width=100)
    return f"# Written by `make reference`. Do not edit it by hand.\n{text}"


def llms() -> str:
    """Write the list of all pages in the order of the site's navigation, with their first lines.

    Returns
    -------
    str
        The list, in the form of llmstxt.org.
    """
    site = (ROOT / "zensical.toml").read_text(encoding="utf-8")
    described = re.search(r'site_description = "(.+)"', site)
    lines = ["# semdedup_spark", "", f"> {described[1] if described else ''}"]
    for title, page in re.findall(r'{ "([^"]+)" = (?:\[|"([^"]+)")', site):
        if not page:
            lines += ["", f"## {title}", ""]
            continue
        if len(lines) == 3:
            lines.append("")
        lead = (DOCS / page).read_text(encoding="utf-8").split("\n\n")[1]
        lead = re.sub(r"\[([^]]+)\]\([^)]+\)", r"\1", lead)
        lines.append(f"- [{title}]({page}): {' '.join(lead.split())}")
    return "\n".join(lines) + "\n"


# File below docs/: what writes it. The list of pages comes last, because it reads the others.
WRITERS: dict[str, Callable[[], str]] = {
    "reference/deduplicate.md": deduplicate_page,
    "reference/commands.md": commands,
    "reference/configuration.md": configuration,
    "reference/errors.md": errors_page,
    "reference/tables.md": tables,
    "reference/versions.md": versions,
    "how-to/guards.md": guards,
    "../deploy/dbt/models/semdedup_sources.yml": dbt_sources,
    "llms.txt": llms,
}


def main() -> None:
    """Write all files."""
    for name, writer in WRITERS.items():
        (DOCS / name).write_text(writer(), encoding="utf-8")


if __name__ == "__main__":
    main()
