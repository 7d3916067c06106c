"""What the command line refuses by itself, before a session starts."""

import os
import threading

import click
import pytest
from click.testing import CliRunner

from semdedup_spark.cli import cli
from semdedup_spark.errors import ConfigError
from semdedup_spark.report.files import check_writable, replace_file


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


@pytest.mark.pyspark
def test_a_place_where_no_summary_can_be_written_is_refused_first(tmp_path):
    place = tmp_path / "missing" / "summary.json"
    result = CliRunner().invoke(cli, ["run", "--config", "missing.yml", "--summary", str(place)])
    assert isinstance(result.exception, ConfigError)
    assert "--summary must name a file" in str(result.exception)


def test_a_file_that_is_a_link_or_a_pipe_stays_one(tmp_path):
    target, link, pipe = tmp_path / "a.json", tmp_path / "latest.json", tmp_path / "pipe"
    target.write_text("old")
    link.symlink_to(target)
    check_writable("--summary", link)
    replace_file(link, b"new")
    assert link.is_symlink()
    assert target.read_text() == "new"
    os.mkfifo(pipe)
    check_writable("--summary", pipe)
    reader = threading.Thread(target=lambda: target.write_bytes(pipe.read_bytes()))
    reader.start()
    replace_file(pipe, b"through")
    reader.join(10)
    assert target.read_text() == "through"
    assert pipe.is_fifo()


@pytest.mark.parametrize("command", ["status", "diff"])
def test_a_command_that_is_no_run_takes_no_name_of_a_run(command):
    result = CliRunner().invoke(cli, [command, "--config", "missing.yml", "--run-id", "mine"])
    assert (result.exit_code, "No such option" in result.output) == (2, True)


@pytest.mark.parametrize("words", [[], *([name] for name in sorted(cli.commands))])
def test_a_help_text_has_no_sections_of_the_docstring_and_describes_each_option(words):
    result = CliRunner().invoke(cli, [*words, "--help"])
    assert result.exit_code == 0
    assert not {"Parameters", "Raises", "----------"} & set(result.output.split())
    command = cli.commands[words[0]] if words else cli
    assert command.help
    for option in command.params:
        assert not isinstance(option, click.Option) or option.help, option.name
