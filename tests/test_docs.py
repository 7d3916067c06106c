"""The README and all pages of docs/ say what is so: SQL and Python run, job files load, commands
exist, links lead somewhere.

docs/how-to/sql-cookbook.md has tests of its own, in tests/queries/test_cookbook.py.
"""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import pytest
import yaml

from semdedup_spark.cli import cli
from semdedup_spark.config import JobConfig, SourceConfig, load_config, parse_config
from semdedup_spark.config.embed import FITTING, NEEDS_MODEL
from semdedup_spark.errors import GuardError, OutputBusyError

ROOT = Path(__file__).parents[1]
FILES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES = {file.relative_to(ROOT).as_posix(): file.read_text() for file in FILES}
COOKBOOK = "docs/how-to/sql-cookbook.md"
# The one page of which a YAML block is a list of sources, and no part of a job file.
SOURCES_PAGE = "docs/how-to/sources.md"
SOURCES = get_args(get_args(SourceConfig.model_fields["format"].annotation)[0])
JOB = {
    "output": "out",
    "source": {"kind": "text", "format": "jsonl", "path": "x.jsonl", "id": "id", "content": "text"},
}


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGES[page], flags=re.DOTALL | re.MULTILINE)


def everywhere(language, but=()):
    """All blocks of a language, each once, with the page and a name."""
    seen = {}
    for page in PAGES:
        for number, block in enumerate(blocks(page, language) if page not in but else ()):
            seen.setdefault(block, (page, number))
    return [
        pytest.param(page, block, id=f"{page.removeprefix('docs/')}-{number}")
        for block, (page, number) in seen.items()
    ]


def commands(page, program):
    """Command lines of a page, without the settings of the environment before them."""
    for block in blocks(page, "bash"):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            words = words[: words.index(">")] if ">" in words else words
            while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                del words[0]
            if words and words[0] == program:
                yield words[1:]


def pages_with(program):
    return [page for page in PAGES if any(commands(page, program))]


def prose(page):
    """The text of a page without its blocks of code."""
    return re.sub(r"^```.*?^```", "", PAGES[page], flags=re.DOTALL | re.MULTILINE)


def slugs(page):
    """What a link may name behind #: the headings, as sites write them."""
    text = re.sub(r"^```.*?^```", "", PAGES[page], flags=re.DOTALL | re.MULTILINE)
    titles = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-") for title in titles}


def parsed(arguments):
    """Let click take the words of a command line as `semdedup` does, without running anything."""
    place = next(i for i, word in enumerate(arguments) if word in cli.commands)
    group = cli.make_context("semdedup", list(arguments[: place + 1]))
    name, command = arguments[place], cli.commands[arguments[place]]
    return command.make_context(name, list(arguments[place + 1 :]), parent=group)


@pytest.fixture(scope="module")
def lake(spark, tmp_path_factory):
    from semdedup_spark import open_job
    from semdedup_spark.pipeline import run_pruning_job
    from tests.jobs.jobfiles import near_duplicates, run, vectors_job, write_vectors

    root = tmp_path_factory.mktemp("lake")
    write_vectors(spark, root / "source", near_duplicates(100))
    config = vectors_job(root / "dedup", root / "source")
    run(spark, config)
    run_pruning_job(open_job(spark, config))
    return root / "dedup"


@pytest.mark.parametrize(("page", "query"), everywhere("sql", but=[COOKBOOK]))
def test_every_query_runs(spark, lake, page, query):
    query = query.replace("/lake/source", str(lake.with_name("source")))
    rows = spark.sql(query.replace("/lake/dedup", str(lake))).collect()
    assert rows or "NOT covered" in query or "quarantine" in query


@pytest.mark.parametrize(("page", "block"), everywhere("yaml", but=[SOURCES_PAGE]))
def test_every_job_file_or_part_of_one_is_valid(page, block):
    settings = yaml.safe_load(block)
    assert set(settings) <= set(JobConfig.model_fields)
    images = settings.get("embed", {}).get("encoder") in FITTING["images"]
    photos = {"source": {"kind": "images", "format": "files", "path": "photos"}} if images else {}
    parse_config({**JOB, **photos, **settings})


@pytest.mark.parametrize("name", [*SOURCES, "table"])
def test_the_examples_of_sources_are_valid_and_none_is_missing(name):
    (block,) = blocks(SOURCES_PAGE, "yaml")
    examples = yaml.safe_load(block)
    source = next(s for s in examples.values() if s.get("format", "table") == name)
    encoder = FITTING[source["kind"]][0]
    model = {"model": "there"} if encoder in NEEDS_MODEL else {}
    job = parse_config({"output": "out", "source": source, "embed": {"encoder": encoder, **model}})
    assert job.source.kind == source["kind"]


@pytest.mark.parametrize("page", pages_with("make"))
def test_every_make_target_exists(page):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    assert {words[0] for words in commands(page, "make")} <= targets


@pytest.mark.parametrize("page", pages_with("semdedup"))
def test_every_semdedup_command_is_understood(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("job.yml").write_text(yaml.safe_dump(JOB))
    for arguments in commands(page, "semdedup"):
        context = parsed(arguments)
        load_config("job.yml", context.params.get("overrides", ()))


@pytest.mark.parametrize("page", pages_with("spark-submit"))
def test_every_spark_submit_names_a_file_of_jobs_or_the_entry_and_a_command(page):
    for words in commands(page, "spark-submit"):
        entry = "$(semdedup config --entry)"  # of an installed package
        place = next(i for i, word in enumerate(words) if word.startswith(("jobs/", entry)))
        assert words[place] == entry or (ROOT / words[place]).is_file()
        assert parsed(words[place + 1 :]).params["config"]


@pytest.mark.parametrize("page", PAGES)
def test_every_command_and_option_that_a_sentence_names_exists(page):
    for code in re.findall(r"`([^`\n]+)`", prose(page)):
        if found := re.fullmatch(r"semdedup ([a-z]+)\b.*", code):
            assert found[1] in cli.commands, code
    options = {name for command in cli.commands.values() for p in command.params for name in p.opts}
    options |= {name for parameter in cli.params for name in parameter.opts}
    others = {"--class", "--py-files", "--sparse", "--help"}
    for option in re.findall(r"`(--[\w-]+)", prose(page)):
        assert option in options | others, option


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page):
    home = (ROOT / page).parent
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"\w+:", target):
            continue
        path, _, fragment = target.partition("#")
        file = (home / path).resolve() if path else ROOT / page
        assert file.is_file(), target
        name = file.relative_to(ROOT).as_posix()
        assert not fragment or fragment in slugs(name), target
        # The site has the pages of docs/ and nothing else.
        assert page == "README.md" or name.startswith("docs/"), target


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_a_page_names_exists(page):
    named = re.findall(
        r"(?<![\w./-])((?:conf|docs|jobs|benchmarks|notebooks)/[\w./-]+\.\w+)", PAGES[page]
    )
    assert all((ROOT / name).exists() for name in named), named


def test_the_output_of_make_demo_is_its_own():
    from semdedup_spark.demo.docstrings import LIBRARIES

    page = PAGES["docs/tutorials/demo.md"]
    assert "rows kept" in page
    assert all(library in page for library in LIBRARIES if library != "stdlib")


PYTHON = everywhere("python", but=[COOKBOOK])
ON_AIRFLOW = [p for p in PYTHON if "airflow" in p.values[1]]
ON_DAGSTER = [p for p in PYTHON if "dagster" in p.values[1]]
ON_SPARK = [p for p in PYTHON if "open_session" in p.values[1] and p not in ON_DAGSTER]
ALONE = [p for p in PYTHON if p not in ON_SPARK + ON_AIRFLOW + ON_DAGSTER]


@pytest.mark.parametrize("page", dict.fromkeys(p.values[0] for p in ALONE))
def test_the_python_of_a_page_runs_from_its_first_block_to_its_last(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for of, code in (p.values for p in ALONE):
        if of == page:
            exec(compile(code, page, "exec"), {})


@pytest.mark.parametrize(("page", "code"), ON_SPARK)
def test_the_python_that_needs_a_session_runs(spark, lake, page, code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(code.replace("/lake/dedup", str(lake)), page, "exec"), {})


class GiveUp(Exception):
    """Stands for Airflow's exception after which a task is not tried again."""


@pytest.fixture
def airflow(monkeypatch):
    """What the recipe takes from Airflow. Returns the functions of the tasks that it makes."""
    tasks = []

    def task(**options):
        assert options["retries"] > 0
        return lambda function: lambda: tasks.append(function)

    sdk = SimpleNamespace(dag=lambda **options: lambda function: function, task=task)
    modules = {"": SimpleNamespace(sdk=sdk), ".sdk": sdk}
    modules[".sdk.exceptions"] = SimpleNamespace(AirflowFailException=GiveUp)
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, f"airflow{name}", module)
    return tasks


@pytest.mark.parametrize(
    ("ends", "told", "expected"),
    [
        ("exit 0", {"ok": True, "kept": 9}, None),
        ("exit 1", {"ok": False, "retryable": True, "error": "lost"}, RuntimeError),
        ("exit 1", {"ok": False, "retryable": False, "error": "no right"}, GiveUp),
        ("exit 2", {"ok": False, "retryable": False, "error": "wrong"}, GiveUp),
        ("exit 2", None, GiveUp),
        ("exit 3", {"ok": False, "retryable": False, "error": "guard"}, GiveUp),
        ("kill -9 $$", None, RuntimeError),
    ],
)
@pytest.mark.parametrize(("page", "code"), ON_AIRFLOW)
def test_the_recipe_for_airflow_repeats_what_a_repetition_can_cure(
    page, code, ends, told, expected, airflow, tmp_path, monkeypatch
):
    write = f"cat > $summary <<'END'\n{json.dumps(told)}\nEND\n" if told else ""
    program = tmp_path / "semdedup"
    program.write_text(f"#!/bin/sh\nfor summary; do :; done\n{write}{ends}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    exec(compile(code, page, "exec"), {})
    (deduplicate,) = airflow
    if expected is None:
        assert deduplicate(run_id="monday") == told
    else:
        with pytest.raises(expected, match=(told or {}).get("error", "exit code")):
            deduplicate(run_id="monday")


@pytest.mark.parametrize(("page", "code"), ON_AIRFLOW)
def test_the_command_of_the_recipe_for_airflow_is_understood(page, code, airflow, monkeypatch):
    given = []
    monkeypatch.setattr(subprocess, "call", lambda words: given.append(words) or 0)
    exec(compile(code, page, "exec"), {})
    airflow[0](run_id="monday")
    ((program, *words),) = given
    assert program == "semdedup"
    assert parsed(words).params["run_id"] == "monday"


COUNTS = {"read": 4, "kept": 2, "removed": 1, "quarantined": 1}


def played(error):
    """Stands for the job of an asset of Dagster."""
    if error is not None:
        raise error
    return SimpleNamespace(**COUNTS)


@pytest.mark.parametrize(
    ("error", "tries"), [(None, 1), (OutputBusyError("busy"), 2), (GuardError("no"), 1)]
)
@pytest.mark.parametrize(("page", "code"), ON_DAGSTER)
def test_the_asset_of_dagster_tells_its_counts_and_repeats_what_a_repetition_can_cure(
    page, code, error, tries, monkeypatch
):
    dagster = pytest.importorskip("dagster")
    once = dagster.RetryPolicy(max_retries=1, delay=0)
    monkeypatch.setattr(dagster, "RetryPolicy", lambda **_: once)
    ids = []
    stand_ins = {
        "open_session": lambda: None,
        "load_config": lambda _: None,
        "open_job": lambda *_, run_id: ids.append(run_id),
        "run_job": lambda _: played(error),
    }
    for name, stand_in in stand_ins.items():
        monkeypatch.setattr(f"semdedup_spark.{name}", stand_in, raising=False)
    names = {}
    exec(compile(code, page, "exec"), names)
    done = dagster.materialize([names["deduplicated"]], raise_on_error=False)
    assert ids == [done.run_id] * tries
    assert done.success is (error is None)
    for made in done.asset_materializations_for_node("deduplicated"):
        assert {name: made.metadata[name].value for name in COUNTS} == COUNTS


@pytest.mark.parametrize("page", [page for page in PAGES if page != "README.md"])
def test_a_page_begins_with_whom_it_is_for(page):
    title, _, lead = PAGES[page].partition("\n\n")
    assert title.startswith("# ")
    assert lead.startswith("For ")


def test_the_readme_is_short():
    assert len(PAGES["README.md"].splitlines()) <= 200


def test_the_navigation_of_the_site_has_every_page_once():
    shown = re.findall(r'= "([^"]+\.md)"', (ROOT / "zensical.toml").read_text())
    assert sorted(f"docs/{name}" for name in shown) == sorted(set(PAGES) - {"README.md"})
