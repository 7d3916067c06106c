"""Files that repeat a version or a pin agree; workflows have the least rights that they need."""

import re
from configparser import ConfigParser
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from semdedup_spark import __version__

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def pins(text):
    return dict(re.findall(r"([\w.-]+)==([\w.]+)", text))


def steps(workflow):
    for job in yaml.safe_load(workflow.read_text())["jobs"].values():
        yield from job["steps"]


def test_changelog_and_citation_are_of_this_version():
    released = re.findall(r"^## \[(\d[^\]]*)\] - (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.M)
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert released[0] == (__version__, str(citation["date-released"]))
    assert citation["version"] == __version__


def test_pre_commit_uses_the_versions_of_constraints():
    pinned = pins((ROOT / "constraints.txt").read_text())
    hooks = pins((ROOT / ".pre-commit-config.yaml").read_text())
    assert hooks.pop("pre-commit-hooks")
    assert hooks
    assert hooks == {name: pinned[name] for name in hooks}


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_pinned_by_commit_and_say_their_version(workflow):
    used = re.findall(r"uses: (.+)", workflow.read_text())
    assert used
    assert all(re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", use) for use in used)


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_jobs_may_only_read(workflow):
    settings = yaml.safe_load(workflow.read_text())
    assert settings["permissions"] == {}
    assert all(job["permissions"] == {"contents": "read"} for job in settings["jobs"].values())
    for step in steps(workflow):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"] == {"persist-credentials": False}


def test_one_workflow_tests_the_pinned_pair_of_spark_and_delta():
    pinned = pins((ROOT / "constraints.txt").read_text())
    jobs = yaml.safe_load((ROOT / ".github/workflows/spark-versions.yml").read_text())["jobs"]
    pairs = jobs["test"]["strategy"]["matrix"]["include"]
    assert (pinned["pyspark"], pinned["delta_spark"]) in {(p["pyspark"], p["delta"]) for p in pairs}


def test_extras_workflow_and_session_name_the_same_pairs_of_spark_and_delta():
    pytest.importorskip("pyspark")
    from semdedup_spark.session.spark_session import DELTA_OF

    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    extras = setup["options.extras_require"]
    jobs = yaml.safe_load((ROOT / ".github/workflows/spark-versions.yml").read_text())["jobs"]
    pairs = jobs["test"]["strategy"]["matrix"]["include"]
    assert {pair["extra"] for pair in pairs} == {n for n in extras if re.fullmatch(r"spark\d+", n)}
    for pair in pairs:
        spark, delta = map(Requirement, extras[pair["extra"]].split())
        assert spark.specifier.contains(pair["pyspark"])
        assert str(delta.specifier) == f"=={pair['delta']}"
        assert DELTA_OF[pair["pyspark"].rpartition(".")[0]] == pair["delta"]
    assert extras["spark"] == extras["spark41"]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_make_targets_of_workflows_exist(workflow):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.M))
    named = {
        m for step in steps(workflow) for m in re.findall(r"\bmake ([a-z-]+)", step.get("run", ""))
    }
    assert named <= targets
