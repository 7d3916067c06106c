"""The README says what is so: its SQL runs, its job file loads, its commands exist."""

import re
import shlex
from pathlib import Path
from typing import get_args

import pytest
import yaml
from click.testing import CliRunner

from semdedup_spark import open_job
from semdedup_spark.cli import cli
from semdedup_spark.config import SourceConfig, parse_config
from semdedup_spark.config.embed import FITTING, NEEDS_MODEL
from semdedup_spark.pipeline import run_pruning_job
from tests.jobs.jobfiles import near_duplicates, run, vectors_job, write_vectors

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
SOURCES = get_args(get_args(SourceConfig.model_fields["format"].annotation)[0])


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def commands(program):
    for block in blocks("bash"):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words and words[0] == program:
                yield words


@pytest.fixture(scope="module")
def lake(spark, tmp_path_factory):
    root = tmp_path_factory.mktemp("lake")
    write_vectors(spark, root / "source", near_duplicates(100))
    config = vectors_job(root / "dedup", root / "source")
    run(spark, config)
    run_pruning_job(open_job(spark, config))
    return root / "dedup"


@pytest.mark.parametrize("query", blocks("sql"), ids=lambda q: q.split("FROM")[0][7:40].strip())
def test_every_query_of_the_readme_runs(spark, lake, query):
    rows = spark.sql(query.replace("/lake/dedup", str(lake))).collect()
    assert rows or "NOT covered" in query or "quarantine" in query


def test_the_job_file_of_the_readme_is_valid():
    parse_config(yaml.safe_load(blocks("yaml")[0]))


@pytest.mark.parametrize("name", [*SOURCES, "table"])
def test_the_sources_of_the_readme_are_valid_and_none_is_missing(name):
    examples = yaml.safe_load(blocks("yaml")[1])
    source = next(s for s in examples.values() if s.get("format", "table") == name)
    encoder = FITTING[source["kind"]][0]
    model = {"model": "there"} if encoder in NEEDS_MODEL else {}
    job = parse_config({"output": "out", "source": source, "embed": {"encoder": encoder, **model}})
    assert job.source.kind == source["kind"]


def test_every_make_target_of_the_readme_exists():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    named = [words[1] for words in commands("make")]
    assert named
    assert set(named) <= targets


def test_every_semdedup_command_of_the_readme_is_understood(tmp_path):
    job = tmp_path / "job.yml"
    block = blocks("yaml")[0]
    job.write_text(block.replace("corpus/", "absent/"))
    named = list(commands("semdedup"))
    assert len(named) >= 3
    for _, *arguments in named:
        shown = CliRunner().invoke(cli, [arguments[0], "--help"])
        assert shown.exit_code == 0
        options = {word for word in arguments if word.startswith("--")}
        assert all(option in shown.output for option in options)
        overrides = [arguments[i + 1] for i, word in enumerate(arguments) if word == "--set"]
        from semdedup_spark.config import load_config

        load_config(job, overrides)


def test_every_file_the_readme_names_exists():
    for name in re.findall(
        r"\b(?:conf|docs|jobs|benchmarks|notebooks)/[\w./-]+\.\w+|\w+\.md", README
    ):
        assert (ROOT / name).exists(), name


def test_the_output_of_make_demo_in_the_readme_is_its_own():
    from semdedup_spark.demo.docstrings import LIBRARIES

    assert "rows kept" in README
    assert all(library in README for library in LIBRARIES if library != "stdlib")


@pytest.mark.parametrize("code", blocks("python"))
def test_the_python_of_the_readme_runs(code):
    exec(compile(code, "README.md", "exec"), {})
