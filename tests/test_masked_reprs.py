"""No dataclass that holds a place, a configuration or names of tables shows a credential."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

import semdedup_spark
from semdedup_spark.config import parse_config
from semdedup_spark.tables.catalog import OutputRoot

ROOT = Path(semdedup_spark.__file__).parent
SECRET = "top/se'cret"
PLACE = f"s3a://AKEY:{SECRET}@bucket/x"
# Names of fields that may hold a place, and those of types that hold one.
OF_PLACES = {
    *("output", "location", "path", "paths", "place", "root", "file", "files", "folder"),
    *("table", "tables", "stale", "model", "inputs", "metadata", "centroids"),
    *("config", "settings", "source", "reference", "options", "spec"),
}
SOURCE = {"kind": "text", "format": "csv", "path": PLACE, "id": "a", "content": "b"}
# Types that hold no place: a Path lies on this machine, and an array holds numbers.
NO_PLACE = {"DataFrame", "SourceRows", "WorkerSettings", "FloatArray", "CentroidSource"}
NO_PLACE |= {"Path", "Path | None"}
# Fields that only have the name: the value of a column, names of nested keys, and a path that was
# opened on this machine.
NO_PLACES = {("SourceShare", "source"), ("_Place", "path"), ("FirstLook", "path")}


def holding_places() -> Iterator[tuple[str, str]]:
    """Module and name of each dataclass with such a field, found without an import."""
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and any(
                "dataclass" in ast.dump(d) for d in node.decorator_list
            ):
                named = {ast.unparse(s.target) for s in node.body if isinstance(s, ast.AnnAssign)}
                if {f for f in named & OF_PLACES if (node.name, f) not in NO_PLACES}:
                    yield ".".join(path.relative_to(ROOT.parent).with_suffix("").parts), node.name


def with_a_secret(kind: str) -> Any:
    """A value of the type with a credential in it."""
    config = parse_config({"output": PLACE, "source": {**SOURCE, "options": {"token": PLACE}}})
    if "JobConfig" in kind:
        return config
    if "SourceConfig" in kind:
        return config.source
    if "OutputRoot" in kind:
        return OutputRoot(PLACE)
    if kind.startswith(("dict", "Mapping")):
        return {"x": PLACE}
    if kind.startswith(("tuple", "Sequence", "list")):
        return (PLACE,)
    return PLACE


FOUND = list(holding_places())


def test_the_classes_are_found():
    assert {"Status", "Overview", "Job", "OutputRoot", "StageRecord"} <= {n for _, n in FOUND}


@pytest.mark.parametrize(("module", "name"), FOUND, ids=[f"{m[15:]}.{n}" for m, n in FOUND])
def test_the_repr_of_a_dataclass_with_a_place_shows_no_credential(module, name):
    made = object.__new__(vars(importlib.import_module(module))[name])
    for field in fields(made):
        place = field.name in OF_PLACES and str(field.type) not in NO_PLACE
        value = with_a_secret(str(field.type)) if place else ()
        object.__setattr__(made, field.name, value)
    told = repr(made)
    assert "AKEY" not in told
    assert "cret" not in told
