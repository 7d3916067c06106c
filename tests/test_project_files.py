"""Files that repeat a version or a pin agree; workflows have the least rights that they need."""

import re
from configparser import ConfigParser
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from scripts.spark_pair import constraints
from semdedup_spark import __version__
from semdedup_spark.session.pairs import DEFAULT, PAIRS, what_fits

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))

MORE_RIGHTS = {
    ("publish", "attach"): {"contents": "write"},
    ("publish", "pypi"): {"id-token": "write"},
}


def read_setup():
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    return setup


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
def test_jobs_may_only_read_and_publishing_has_one_right_a_job(workflow):
    settings = yaml.safe_load(workflow.read_text())
    assert settings["permissions"] == {}
    for name, job in settings["jobs"].items():
        more = MORE_RIGHTS.get((workflow.stem, name))
        assert job["permissions"] == (more or {"contents": "read"})
        if more:  # what may write runs nothing of the repository
            assert not any(s.get("uses", "").startswith("actions/checkout@") for s in job["steps"])
    for step in steps(workflow):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"] == {"persist-credentials": False}


def test_the_pinned_spark_and_delta_are_the_default_pair():
    pinned = pins((ROOT / "constraints.txt").read_text())
    assert (pinned["pyspark"], pinned["delta_spark"]) == (DEFAULT.pyspark, DEFAULT.delta)


def test_extras_and_the_workflow_have_the_pairs_of_the_session():
    extras = read_setup()["options.extras_require"]
    matrix = yaml.safe_load((ROOT / ".github/workflows/spark-versions.yml").read_text())["jobs"]
    assert matrix["test"]["strategy"]["matrix"]["spark"] == [pair.spark for pair in PAIRS]
    named = {name for name in extras if re.fullmatch(r"spark\d+", name)}
    assert named == {pair.extra for pair in PAIRS}
    for pair in PAIRS:
        spark, delta = map(Requirement, extras[pair.extra].split())
        assert spark.specifier.contains(pair.pyspark)
        assert str(delta.specifier) == f"=={pair.delta}"
    assert extras["spark"] == extras[DEFAULT.extra]


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.spark)
def test_versions_to_test_a_spark_with_are_those_of_constraints_but_for_the_pair(pair):
    pinned = pins((ROOT / "constraints.txt").read_text())
    found = pins(constraints(pair.spark))
    assert (found.pop("pyspark"), found.pop("delta-spark")) == (pair.pyspark, pair.delta)
    assert found.items() <= pinned.items()
    assert len(found) == len(pinned) - 4


def test_a_spark_that_is_not_tested_is_refused_by_name():
    with pytest.raises(ValueError, match=r"VERSION must be 3\.5, 4\.0, 4\.1, 4\.2\. Got 3\.4\."):
        constraints("3.4")


@pytest.mark.parametrize(
    ("pyspark", "delta", "named"),
    [
        ("4.2.0", "4.4.1", "semdedup-spark[spark42]': pyspark 4.2.0 and delta-spark 4.4.0"),
        ("4.2.1", "4.1.0", "semdedup-spark[spark42]': pyspark 4.2.0 and delta-spark 4.4.0"),
        ("4.2.1", "4.4.0", "semdedup-spark[spark42]': pyspark 4.2.0 and delta-spark 4.4.0"),
        ("4.0.5", "4.4.1", "semdedup-spark[spark40]': pyspark 4.0.5 and delta-spark 4.3.1"),
        ("4.3.0", "4.4.1", "semdedup-spark[spark41]', or another pair: Spark 3.5, 4.0, 4.1, 4.2."),
        ("4.1.0", "4.3.1", None),
        ("3.5.3", "3.3.2", None),
        ("3.5.6", "3.3.2", "semdedup-spark[spark35]': pyspark 3.5.5 and delta-spark 3.3.2"),
        ("4.2.0.dev1", "4.4.0", None),
    ],
)
def test_another_pair_is_told_the_pair_to_install(pyspark, delta, named):
    said = what_fits(pyspark, delta)
    assert said is None if named is None else named in said


def test_the_versions_of_python_are_the_same_wherever_they_are_said():
    metadata = read_setup()["metadata"]["classifiers"]
    versions = re.findall(r"Python :: (3\.\d+)$", metadata, re.MULTILINE)
    minors = [int(version.split(".")[1]) for version in versions]
    assert minors == list(range(minors[0], minors[-1] + 1))
    assert read_setup()["options"]["python_requires"] == f">=3.{minors[0]},<3.{minors[-1] + 1}"
    said = f"{', '.join(versions[:-1])} or {versions[-1]}"
    makefile = (ROOT / "Makefile").read_text()
    assert f"Python must be {said}." in makefile
    assert f"(3, {minors[0]}) <= sys.version_info[:2] <= (3, {minors[-1]})" in makefile
    assert f"Python {said}" in (ROOT / "README.md").read_text()
    jobs = yaml.safe_load((ROOT / ".github/workflows/check.yml").read_text())["jobs"]
    assert jobs["test-fast"]["strategy"]["matrix"]["python"] == versions
    settings = (ROOT / "pyproject.toml").read_text()
    assert f'target-version = "py3{minors[0]}"' in settings
    assert f'python_version = "{versions[0]}"' in settings


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_make_targets_of_workflows_exist(workflow):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.M))
    named = {
        m for step in steps(workflow) for m in re.findall(r"\bmake ([a-z-]+)", step.get("run", ""))
    }
    assert named <= targets
