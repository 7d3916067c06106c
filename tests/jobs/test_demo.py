"""`semdedup demo`, small: what `make demo` does with 8,000 docstrings."""

from click.testing import CliRunner

from semdedup_spark.cli import cli
from semdedup_spark.demo.docstrings import collect_docstrings, write_corpus


def test_docstrings_are_read_from_source_files_and_are_the_same_each_time(tmp_path):
    rows = collect_docstrings(140)
    assert len(rows) == 140
    assert len({row.library for row in rows}) == 7
    assert len({row.id for row in rows}) == 140
    path = write_corpus(rows, tmp_path)
    written = path.stat().st_mtime_ns
    assert write_corpus(collect_docstrings(140), tmp_path).stat().st_mtime_ns == written


def test_the_demo_ends_with_what_a_person_wants_to_see(spark, tmp_path):
    command = ["demo", "--rows", "105", "--output", str(tmp_path), "--set", "cluster.n_clusters=4"]
    shown = CliRunner().invoke(cli, command)
    assert shown.exit_code == 0, shown.output
    for words in ("rows read", "rows kept", "removed (-) beside its survivor (+)", "SELECT"):
        assert words in shown.output
    read, kept, removed = (
        int(line.split()[2].replace(",", ""))
        for line in shown.output.splitlines()
        if line.startswith(("rows read", "rows kept", "rows removed"))
    )
    assert read == 105
    assert kept + removed == 105
    assert f"delta.`{tmp_path}/tables/scores`" in shown.output
