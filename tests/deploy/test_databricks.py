"""The bundle: what Databricks would refuse is found here, without a workspace."""

import copy

import pytest
import yaml

from tests.deploy.bundles import BUNDLE, ROOT, packages, problems, read_bundle, setup_cfg


@pytest.fixture
def bundle():
    return copy.deepcopy(read_bundle())


def test_the_bundle_is_valid(bundle):
    assert problems(bundle) == []
    assert set(bundle["targets"]) == {"dev", "prod"}
    assert set(bundle["resources"]["jobs"]) == {"nightly", "serverless"}


def test_the_nightly_job_runs_the_stages_in_order_and_only_the_first_on_a_gpu(bundle):
    job = bundle["resources"]["jobs"]["nightly"]
    commands = [
        (task["python_wheel_task"]["parameters"][0], task["job_cluster_key"])
        for task in job["tasks"]
        if "python_wheel_task" in task
    ]
    stages = ["cluster", "score", "select", "maintain"]
    assert commands == [("embed", "gpu"), *((stage, "cpu") for stage in stages)]
    (gpu, cpu) = (each["new_cluster"] for each in job["job_clusters"])
    assert "gpu" in bundle["variables"]["gpu_runtime"]["default"]
    assert (gpu["spark_version"], cpu["spark_version"]) == (
        "${var.gpu_runtime}",
        "${var.cpu_runtime}",
    )


def test_a_guard_that_stopped_the_selection_is_not_tried_again(bundle):
    for job in bundle["resources"]["jobs"].values():
        for task in job["tasks"]:
            words = task.get("python_wheel_task", {}).get("parameters", ["embed"])
            assert words[0] not in ("select", "run") or task["max_retries"] == 0
            # Serverless compute tries again by itself unless it is told not to.
            assert task.get("environment_key") is None or task["disable_auto_optimization"]


@pytest.mark.parametrize(("job", "task"), [("nightly", "embed"), ("serverless", "run")])
def test_the_task_that_embeds_installs_the_extra_text(bundle, job, task):
    settings = bundle["resources"]["jobs"][job]
    (found,) = (each for each in settings["tasks"] if each["task_key"] == task)
    extra = setup_cfg()["options.extras_require"]["text"].split()
    assert list(packages(settings, found)) == ["../../../dist/*.whl", *extra]


def test_no_other_file_of_the_repository_has_the_name_of_a_bundle():
    folders = [path for path in ROOT.iterdir() if path.is_dir() and path.name[0] != "."]
    found = [file for folder in folders for file in folder.rglob("databricks.y*ml")]
    assert found == [BUNDLE / "databricks.yml"]


def set_in(tree, path, value):
    *parents, leaf = path
    for key in parents:
        tree = tree[key]
    if value is None:
        del tree[leaf]
    else:
        tree[leaf] = value


NIGHTLY = ("resources", "jobs", "nightly")
SERVERLESS = ("resources", "jobs", "serverless")
EMBED = (*NIGHTLY, "tasks", 0)
WORDS = (*EMBED, "python_wheel_task", "parameters")
GPU = (*NIGHTLY, "job_clusters", 0, "new_cluster")


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        (("resource",), {}, "unknown key 'resource'"),
        (("targets", "dev", "mode"), "developement", "no mode 'developement'"),
        (("targets", "dev", "variables", "catalogue"), "x", "no variable 'catalogue'"),
        (("variables", "email"), None, "nothing gives ${var.email} a value"),
        (("resources", "schemas", "dedup", "catalog"), "x", "Unexpected field 'catalog'"),
        (("resources", "volumes", "models", "volume_type"), "MANGED", "'MANGED' is not a valid"),
        ((*NIGHTLY, "scheduel"), {}, "Unexpected field 'scheduel' for class Job"),
        ((*EMBED, "max_retry"), 1, "Unexpected field 'max_retry' for class Task"),
        ((*GPU, "data_security_mode"), "DEDICATED", "'DEDICATED' is not a valid"),
        ((*EMBED, "job_cluster_key"), "gpus", "task embed: no job_cluster_key 'gpus'"),
        ((*SERVERLESS, "tasks", 0, "environment_key"), "x", "no environment_key 'x'"),
        ((*SERVERLESS, "environments", 0, "spec", "dependancies"), [], "'dependancies'"),
        ((*NIGHTLY, "tasks", 1, "depends_on", 0, "task_key"), "embedd", "no task 'embedd'"),
        ((*EMBED, "python_wheel_task", "entry_point"), "main", "no entry point 'main'"),
        ((*EMBED, "python_wheel_task", "package_name"), "semdedup", "no package 'semdedup'"),
        ((*WORDS, 0), "embedd", "no such command: 'embedd'"),
        ((*WORDS, 1), "--confg", "No such option"),
        ((*WORDS, 4), "outputs=x", "outputs"),
        ((*WORDS, 2), "{{job.parameters.job}}", "nothing gives {{job.parameters.job}} a value"),
        ((*EMBED, "libraries", 0, "whl"), "../dist/*.whl", "no wheel is built in"),
    ],
)
def test_a_planted_mistake_is_told(bundle, path, value, told):
    set_in(bundle, path, value)
    found = problems(bundle)
    assert any(told in each for each in found), found
    print(found)


def test_the_databricks_page_shows_the_job_file_of_the_bundle():
    page = (ROOT / "docs" / "how-to" / "databricks.md").read_text()
    shown = yaml.safe_load(page.partition("```yaml\n")[2].partition("```")[0])
    assert shown == yaml.safe_load((BUNDLE / "job.yml").read_text())
