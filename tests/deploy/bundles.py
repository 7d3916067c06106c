"""What is wrong with a bundle of Databricks, as far as it can be told without a workspace.

The classes of `databricks-bundles` refuse unknown keys and values. What they do not compare with
each other is compared here: names of tasks, clusters, parameters, variables, files and packages.
"""

import json
import re
from configparser import ConfigParser
from pathlib import Path

import yaml
from databricks.bundles.jobs import Job
from databricks.bundles.schemas import Schema
from databricks.bundles.volumes import Volume

from tests.deploy.commands import wrong_words

ROOT = Path(__file__).parents[2]
BUNDLE = ROOT / "deploy" / "databricks"
_KINDS = {"jobs": Job, "schemas": Schema, "volumes": Volume}
# Of the reference of bundle settings: those that this bundle may need.
_KEYS = {"bundle", "include", "artifacts", "variables", "targets", "workspace", "sync", "resources"}
_TARGET_KEYS = {"mode", "default", "variables", "workspace", "run_as", "permissions", "presets"}
# What the Databricks CLI itself gives a value to.
_BUILT_IN = {"bundle.name", "bundle.target", "workspace.file_path", "workspace.root_path"}
_JOB_VALUES = {"job.run_id", "job.start_time.iso_weekday"}


def read_bundle(folder=BUNDLE):
    """The settings of a bundle, with those of the files that it includes."""
    bundle = yaml.safe_load((folder / "databricks.yml").read_text())
    bundle["resources"] = {}
    for pattern in bundle["include"]:
        files = sorted(folder.glob(pattern))
        assert files, pattern
        for file in files:
            for kind, found in yaml.safe_load(file.read_text())["resources"].items():
                bundle["resources"].setdefault(kind, {}).update(found)
    return bundle


def setup_cfg():
    found = ConfigParser()
    found.read(ROOT / "setup.cfg")
    return found


def problems(bundle):
    """Each mistake in one line."""
    return [
        *(f"unknown key {key!r}" for key in bundle.keys() - _KEYS),
        *_target_problems(bundle),
        *_reference_problems(bundle),
        *(
            f"{kind}.{name}: {wrong}"
            for kind, found in bundle["resources"].items()
            for name, settings in found.items()
            for wrong in (_class_problem(kind, settings), *_job_problems(kind, settings))
            if wrong
        ),
    ]


def _class_problem(kind, settings):
    try:
        _KINDS[kind].from_dict(settings)
    except (ValueError, TypeError, KeyError) as error:
        return str(error)
    return None


def _target_problems(bundle):
    for name, target in bundle["targets"].items():
        for key in target.keys() - _TARGET_KEYS:
            yield f"target {name}: unknown key {key!r}"
        for key in target.get("variables", {}).keys() - bundle["variables"].keys():
            yield f"target {name}: no variable {key!r}"
        if target.get("mode") not in ("development", "production"):
            yield f"target {name}: no mode {target.get('mode')!r}"


def _reference_problems(bundle):
    for name in sorted(set(re.findall(r"\$\{([^{}]+)\}", json.dumps(bundle)))):
        first, _, rest = name.partition(".")
        known = name in _BUILT_IN or (first == "var" and rest in bundle["variables"])
        if first == "resources":
            kind, resource, _ = rest.split(".")
            known = resource in bundle["resources"].get(kind, {})
        if not known:
            yield f"nothing gives ${{{name}}} a value"


def _job_problems(kind, job):
    if kind != "jobs":
        return
    keys = [task["task_key"] for task in job["tasks"]]
    declared = {f"job.parameters.{each['name']}" for each in job.get("parameters", [])}
    for name in set(re.findall(r"\{\{([^{}]+)\}\}", json.dumps(job))) - declared - _JOB_VALUES:
        yield f"nothing gives {{{{{name}}}}} a value"
    for number, task in enumerate(job["tasks"]):
        for needed in task.get("depends_on", []):
            if needed["task_key"] not in keys[:number]:
                yield f"task {task['task_key']}: no task {needed['task_key']!r} before it"
        for wrong in _task_problems(job, task):
            yield f"task {task['task_key']}: {wrong}"


def _task_problems(job, task):
    for kind, there in (
        ("job_cluster_key", job.get("job_clusters", [])),
        ("environment_key", job.get("environments", [])),
    ):
        if task.get(kind) and task[kind] not in [each.get(kind) for each in there]:
            yield f"no {kind} {task[kind]!r}"
    wheel = task.get("python_wheel_task")
    if wheel is None:
        return
    if not (task.get("job_cluster_key") or task.get("environment_key")):
        yield "runs nowhere"
    metadata = setup_cfg()
    scripts = metadata["options.entry_points"]["console_scripts"].split("\n")
    if wheel.get("package_name") != metadata["metadata"]["name"]:
        yield f"no package {wheel.get('package_name')!r}"
    if wheel.get("entry_point") not in [line.partition(" = ")[0] for line in scripts]:
        yield f"no entry point {wheel.get('entry_point')!r}"
    if wrong := wrong_words(wheel["parameters"], BUNDLE / "job.yml"):
        yield wrong
    for package in packages(job, task):
        place = (BUNDLE / "resources" / package).parent
        if package.endswith(".whl") and place.resolve() != ROOT / "dist":
            yield f"no wheel is built in {package!r}"


def packages(job, task):
    """What is installed for a task: wheels, and packages as pip takes them."""
    for library in task.get("libraries", []):
        yield library["whl"] if "whl" in library else library["pypi"]["package"]
    for environment in job.get("environments", []):
        if environment["environment_key"] == task.get("environment_key"):
            yield from environment["spec"]["dependencies"]
