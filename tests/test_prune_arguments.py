"""What is wrong on the command line is said before anything is read or written."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from semdedup_spark.cli import cli
from semdedup_spark.errors import ConfigError, SourceError

pytestmark = pytest.mark.pyspark  # the command imports it before it looks at settings


def prune(tmp_path, *words):
    where = ("--root", str(tmp_path / "data"), "--output", str(tmp_path / "out"))
    shown = CliRunner().invoke(cli, ["prune", *where, *words])
    assert not (tmp_path / "out").exists()
    return shown


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--ratio", "0"], "prune.ratio must be"),  # theirs keeps everything at 0
        (["--ratio", "100.5"], "prune.ratio must be"),
        (["--n_clusters", "0"], "cluster.n_clusters must be"),
        (["--representation", "vgg61"], "embed.encoder must be"),
        (["--set", "prune.ration=5"], "prune.ration is not a known key"),
    ],
)
def test_a_wrong_setting_is_told_by_its_key(tmp_path, words, said):
    shown = prune(tmp_path, "--dataset", "mnist", *words)
    assert isinstance(shown.exception, ConfigError)
    assert said in str(shown.exception)


def test_an_unknown_data_set_and_one_that_is_not_there_are_told(tmp_path, monkeypatch):
    shown = prune(tmp_path, "--dataset", "imagenet")
    assert "mnist, fmnist, cifar10 or a job file" in str(shown.exception)
    monkeypatch.setattr("semdedup_spark.datasets.named.download", lambda *_: "failed (offline)")
    shown = prune(tmp_path, "--dataset", "cifar10")
    assert isinstance(shown.exception, SourceError)
    assert "failed (offline)" in str(shown.exception)


@pytest.mark.parametrize("word", ["--rank_type", "--prune_type"])
def test_a_word_that_is_no_rule_is_refused(tmp_path, word):
    shown = prune(tmp_path, "--dataset", "mnist", word, "cosine")
    assert shown.exit_code == 2
    assert "is not one of" in shown.output


def test_what_a_job_file_says_itself_cannot_be_said_beside_it(tmp_path):
    for words in (["--limit", "5"], ["--split", "test"], ["--representation", "pixels"]):
        for option in ("--config", "--dataset"):
            shown = CliRunner().invoke(cli, ["prune", option, "job.yml", *words])
            assert shown.exit_code == 2
            assert f"{words[0]} must be left out" in shown.output


def test_a_job_file_is_given_as_config_or_as_dataset(tmp_path):
    missing = str(tmp_path / "missing.yml")
    for option in ("--config", "--dataset"):
        shown = CliRunner().invoke(cli, ["prune", option, missing])
        assert isinstance(shown.exception, ConfigError)
        assert f"Got {missing!r}" in str(shown.exception)


@pytest.mark.parametrize("words", [[], ["--config", "job.yml", "--dataset", "mnist"]])
def test_exactly_one_of_a_job_file_and_a_data_set_is_given(words):
    shown = CliRunner().invoke(cli, ["prune", *words])
    assert shown.exit_code == 2
    assert "give either --config JOB.YML or --dataset NAME" in shown.output
