"""The package works from the zip of `make zip` and by the path that spark-submit is given."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from zipfile import ZipFile

import pytest

from scripts.package_zip import package_files, write_zip

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "semdedup_spark"
ENTRY = PACKAGE / "__main__.py"


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    file = tmp_path_factory.mktemp("zip") / "semdedup_spark.zip"
    write_zip(file)
    return file


def python(*arguments, cwd, path):
    """What a Python prints that finds the package only at ``path``, before an installed one."""
    environment = {**os.environ, "PYTHONPATH": str(path)}
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_zip_holds_the_package_and_its_data_and_nothing_else(packed):
    with ZipFile(packed) as opened:
        names = opened.namelist()
        assert opened.testzip() is None
    below = {path for path in PACKAGE.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    assert names == sorted(path.relative_to(ROOT).as_posix() for path in below)


def test_the_same_files_give_the_same_bytes(packed, tmp_path):
    again = tmp_path / "again.zip"
    write_zip(again)
    assert again.read_bytes() == packed.read_bytes()
    with ZipFile(packed) as opened:
        assert {entry.date_time[0] for entry in opened.infolist()} == {1980}


def test_every_key_of_a_job_file_is_printed_from_the_zip(packed, tmp_path):
    shown = python("-m", "semdedup_spark", "config", cwd=tmp_path, path=packed)
    assert shown == (PACKAGE / "config" / "base.yml").read_text()


def test_a_report_is_written_from_the_zip(packed, tmp_path):
    pytest.importorskip("jinja2")
    pytest.importorskip("matplotlib")
    code = (
        "import numpy as np, semdedup_spark\n"
        "result = semdedup_spark.deduplicate(np.eye(4, dtype=np.float32)[[0, 1, 2, 0]])\n"
        "result.report('report.html')\n"
        "print(semdedup_spark.__file__, len(result.kept))"
    )
    shown = python("-c", code, cwd=tmp_path, path=packed)
    assert shown.split() == [str(packed / "semdedup_spark" / "__init__.py"), "3"]
    assert "<style>" in (tmp_path / "report.html").read_text()


@pytest.mark.pyspark
def test_java_finds_the_settings_of_its_log_where_the_package_is_in_a_zip(packed, tmp_path):
    code = (
        "from urllib.request import url2pathname\n"
        "from semdedup_spark.session.spark_session import logging_file\n"
        "print(open(url2pathname(logging_file().removeprefix('file:'))).read(), end='')"
    )
    shown = python("-c", code, cwd=tmp_path, path=packed)
    assert shown == (PACKAGE / "log4j2.properties").read_text()


def test_no_module_reads_its_data_by_the_path_of_a_module():
    by_path = {f for f in package_files() if f.suffix == ".py" and "__file__" in f.read_text()}
    assert by_path == {ENTRY.relative_to(ROOT)}  # which spark-submit is given as a file


def test_the_entry_of_spark_submit_is_printed_and_runs_by_its_path(tmp_path):
    shown = python("-m", "semdedup_spark", "config", "--entry", cwd=tmp_path, path=ROOT)
    assert Path(shown.strip()) == ENTRY
    assert python(ENTRY, "--version", cwd=tmp_path, path=ROOT).startswith("semdedup, version ")


def test_the_entry_hides_no_library_of_a_name_that_a_room_has_too(tmp_path):
    code = (
        "import runpy, sys\n"
        f"sys.path.insert(0, {str(PACKAGE)!r})\n"  # as Python does for a script
        f"runpy.run_path({str(ENTRY)!r}, run_name='by_path')\n"
        "from importlib.util import find_spec\n"
        "print([getattr(find_spec(n), 'origin', None) for n in ('torch', 'datasets')])"
    )
    shown = python("-c", code, cwd=tmp_path, path=ROOT)
    assert shown.strip() == str(
        [getattr(find_spec(n), "origin", None) for n in ("torch", "datasets")]
    )
