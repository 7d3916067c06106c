"""The house as ARCHITECTURE.md draws it; import-linter (in `make check`) holds the layers."""

import ast
import importlib
from pathlib import Path

import pytest

from tests.loading import loaded_after

PACKAGE = Path(__file__).parents[1] / "semdedup_spark"
MODULES = sorted(PACKAGE.rglob("*.py"))
ROOMS = sorted({path.parent for path in MODULES})
TESTS = sorted(Path(__file__).parent.rglob("*.py"))
NOTEBOOKS = sorted((PACKAGE.parent / "notebooks").glob("*.py"))
# The packages whose `__all__` is public.
PUBLIC = (
    "semdedup_spark",
    "semdedup_spark.torch",
    "semdedup_spark.datasets",
    "semdedup_spark.experiments",
)
HEAVY = ("pyspark", "torch", "transformers", "PIL", "delta", "pandas", "pyarrow", "sqlglot")


def names(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Name):
            yield node.id


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_modules_are_small_and_functions_can_be_held_in_the_head(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 300
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            length = (body[-1].end_lineno - body[0].lineno + 1) if body else 0
            assert length <= 40, f"{node.name} has {length} lines"


@pytest.mark.parametrize("room", ROOMS, ids=lambda p: str(p.relative_to(PACKAGE.parent)))
def test_no_room_has_more_than_fifteen_modules(room):
    assert len([path for path in room.glob("*.py") if path.name != "__init__.py"]) <= 15


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_no_module_uses_what_spark_connect_does_not_have(path):
    used = set(names(ast.parse(path.read_text())))
    assert not used & {"sparkContext", "rdd", "_jvm", "_jsparkSession", "toLocalIterator"}


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_only_tables_write_and_only_the_session_module_makes_sessions(path):
    tree = ast.parse(path.read_text())
    used, writers = set(names(tree)), {"write", "writeTo", "saveAsTable", "insertInto"}
    inside = path.relative_to(PACKAGE).parts[0]
    if inside not in ("tables", "exports"):  # exports lie outside of the output, and need no Spark
        asked = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
        written = [node.value for node in asked if node.attr in writers]
        # `select.write` is a key of the configuration.
        assert all(isinstance(of, ast.Attribute) and of.attr == "select" for of in written)
    if inside != "session":
        assert "builder" not in used
        assert not any(
            isinstance(node, ast.Attribute)
            and node.attr == "set"
            and isinstance(node.value, ast.Attribute)
            and node.value.attr == "conf"
            for node in ast.walk(tree)
        )


def private(name):
    return name.startswith("_") and not name.endswith("__")


def reached_into(tree):
    """Private names of this package that a module imports, uses, or puts something in place of."""
    ours = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("semdedup_spark"):
            ours |= {alias.asname or alias.name for alias in node.names}
            yield from (alias.name for alias in node.names if private(alias.name))
        elif isinstance(node, ast.Import):
            ours |= {a.asname for a in node.names if a.asname and a.name.startswith("semdedup")}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and getattr(node.value, "id", None) in ours:
            yield from (name for name in (node.attr,) if private(name))
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ("setattr", "object"):
            texts = (arg.value for arg in node.args[:2] if isinstance(arg, ast.Constant))
            yield from (text for text in map(str, texts) if private(text.rpartition(".")[2]))


@pytest.mark.parametrize("path", TESTS, ids=lambda p: str(p.relative_to(TESTS[0].parent)))
def test_no_test_reaches_into_a_module(path):
    assert sorted(set(reached_into(ast.parse(path.read_text())))) == []


def test_a_test_that_reached_into_a_module_would_be_seen():
    for code in (
        "from semdedup_spark.session.spark_session import _x",
        "from semdedup_spark import session as s\ns._x()",
        "from semdedup_spark.tables import runs\nmonkeypatch.setattr(runs, '_X', 1)",
        "monkeypatch.setattr('semdedup_spark.tables.runs._X', 1)",
    ):
        assert list(reached_into(ast.parse(code))), code


def public_names():
    """By module the names that a notebook may import from it."""
    homes = {home: set(importlib.import_module(home).__all__) for home in PUBLIC}
    return {**homes, "semdedup_spark.cli": {"cli"}}


def not_public(tree):
    """What a module imports of this package that is no public name."""
    public = public_names()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("semdedup_spark"):
            names_there = public.get(node.module, set())
            yield from (f"{node.module}.{a.name}" for a in node.names if a.name not in names_there)
        elif isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.startswith("semdedup_spark"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_imports_public_names_only(path):
    assert list(not_public(ast.parse(path.read_text(encoding="utf-8")))) == []


def test_a_notebook_that_imported_a_name_that_is_not_public_would_be_seen():
    assert len(NOTEBOOKS) >= 4
    for code in (
        "from semdedup_spark.in_memory.prune import Clusters",
        "from semdedup_spark.experiments.trainer import train",
        "from semdedup_spark.experiments import trainer",
        "from semdedup_spark import experiments",
        "from semdedup_spark.cli import main",
        "from semdedup_spark import *",
        "import semdedup_spark.tables.delta_files",
        "import os, semdedup_spark.kernels as kernels",
        "def late():\n    from semdedup_spark.report.cluster_figures import draw_gallery",
    ):
        assert list(not_public(ast.parse(code))), code
    assert not list(not_public(ast.parse("from semdedup_spark.experiments import train")))


@pytest.mark.parametrize("name", importlib.import_module("semdedup_spark.experiments").__all__)
def test_every_public_name_of_the_experiments_is_there(name):
    for package in ("torch", "matplotlib"):
        pytest.importorskip(package)
    assert getattr(importlib.import_module("semdedup_spark.experiments"), name).__name__ == name


@pytest.mark.parametrize(
    "command",
    [
        "import semdedup_spark",
        "import semdedup_spark.cli",
        "import semdedup_spark.config",
        "import semdedup_spark.experiments",
    ],
)
def test_importing_the_front_loads_nothing_heavy(command):
    assert loaded_after(command, HEAVY).strip() == "[]"


@pytest.mark.pyspark
def test_a_run_loads_what_few_runs_need_only_when_it_is_needed():
    code = "import semdedup_spark.pipeline, semdedup_spark.session.spark_session"
    assert loaded_after(code, ("pandas", "scipy", "pyspark.ml", "torch")).strip() == "[]"


@pytest.mark.parametrize("package", ["kernels", "encoders"])
def test_kernels_and_encoders_run_without_spark(package):
    code = (
        "import pkgutil, importlib\n"
        f"import semdedup_spark.{package} as p\n"
        "for m in pkgutil.walk_packages(p.__path__, p.__name__ + '.'):\n"
        "    importlib.import_module(m.name)"
    )
    out = loaded_after(code, ("pyspark", "delta", "yaml"))
    # transformers itself may load yaml; our own code does not (import-linter)
    assert "pyspark" not in out
    assert "delta" not in out
