"""What the command line refuses by itself, before a session starts."""

import pytest
from click.testing import CliRunner

from semdedup_spark.cli import cli
from semdedup_spark.errors import ConfigError


@pytest.mark.parametrize("command", ["restore", "remove"])
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--reason", "why"], "--id or --group"),
        (["--id", "1"], "--reason TEXT"),
        (["--id", "1", "--reason", "why", "--withdraw"], "--withdraw takes no --reason"),
        (["--group", "1", "--withdraw"], "--withdraw goes with --id"),
    ],
)
def test_a_decision_without_rows_or_reason_is_refused(command, arguments, words):
    result = CliRunner().invoke(cli, [command, "--config", "missing.yml", *arguments])
    assert (result.exit_code, words in result.output) == (2, True)


def test_a_place_where_no_summary_can_be_written_is_refused_first(tmp_path):
    place = tmp_path / "missing" / "summary.json"
    result = CliRunner().invoke(cli, ["run", "--config", "missing.yml", "--summary", str(place)])
    assert isinstance(result.exception, ConfigError)
    assert "--summary must name a file" in str(result.exception)
