"""The entry point as Databricks calls it: by its name in the wheel, inside of IPython."""

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

pytest.importorskip("IPython", reason="the package ipython is not installed (extra notebooks)")

CALL = """
from importlib.metadata import distribution
[entry] = [e for e in distribution("semdedup-spark").entry_points if e.name == "semdedup"]
entry.load()()
"""
# As it was before: click ends the process, also after a success.
ENDED_BY_CLICK = "from semdedup_spark.cli import cli\ncli()"
SHELL = """
import json, sys
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config
shell = InteractiveShell(config=Config(HistoryManager={"enabled": False}))
code, *sys.argv = json.loads(sys.argv[1])
result = shell.run_cell(code)
failure = result.error_in_exec
print(json.dumps([result.success, type(failure).__name__, getattr(failure, "code", None)]))
"""


def ended(code, words, tmp_path):
    """Whether IPython takes the cell for a success, what was raised, and its exit code."""
    given = json.dumps([code, "semdedup-spark", *words])
    done = subprocess.run(
        [sys.executable, "-c", SHELL, given],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={**os.environ, "IPYTHONDIR": str(tmp_path)},
    )
    return tuple(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("words", [["config"], ["--version"], ["embed", "--help"]])
def test_a_command_that_succeeds_returns(words, tmp_path):
    assert ended(CALL, words, tmp_path) == (True, "NoneType", None)


@pytest.mark.parametrize(
    "words", [["embed"], ["nosuch"], ["init", "nosuch.jsonl"], ["init", "--nosuch"]]
)
def test_a_command_that_fails_raises_its_exit_code(words, tmp_path):
    assert ended(CALL, words, tmp_path) == (False, "SystemExit", 2)


def test_a_success_that_click_itself_ends_would_be_a_failure_there(tmp_path):
    assert ended(ENDED_BY_CLICK, ["config"], tmp_path) == (False, "SystemExit", 0)


@pytest.mark.pyspark
def test_a_session_of_databricks_is_taken_and_not_configured(monkeypatch):
    from semdedup_spark.session import spark_session

    theirs = SimpleNamespace(
        getActiveSession=lambda: None, builder=SimpleNamespace(getOrCreate=lambda: "theirs")
    )
    monkeypatch.setattr(spark_session, "SparkSession", theirs)
    monkeypatch.setenv("DATABRICKS_RUNTIME_VERSION", "client.4.9")
    assert spark_session.open_session() == "theirs"
