"""`semdedup sweep` as a command: its grid, its refusals, and that it goes on."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

pytest.importorskip("torch")
pytest.importorskip("matplotlib")

from semdedup_spark.cli import cli
from semdedup_spark.cli.named_data import embedding
from semdedup_spark.config import EmbedConfig
from semdedup_spark.errors import ConfigError
from semdedup_spark.experiments.results import read_results
from tests.test_datasets import small_set


def sweep(tmp_path, *words):
    where = ["--dataset", "mnist", "--root", str(tmp_path), "--output", str(tmp_path / "out")]
    return CliRunner().invoke(cli, ["sweep", *where, *words])


def test_their_run_sh_is_the_default_and_a_second_call_only_draws(tmp_path):
    small_set(tmp_path, n=60)
    small_set(tmp_path, prefix="t10k", n=20)
    short = ["--seeds", "1", "--steps", "1,2"]
    shown = sweep(tmp_path, *short)
    assert shown.exit_code == 0, shown.output
    assert "37 of 37 cells to do" in shown.output  # 4 x (4 ratios + 4 other k) + 5 subsets
    cells = {result.cell for result in read_results(tmp_path / "out" / "results.csv")}
    assert {(c.n_clusters, c.ratio) for c in cells if c.n_clusters} == {
        *((20, ratio) for ratio in (10, 25, 50, 75)),
        *((k, 25) for k in (10, 20, 30, 40, 50)),
    }
    (tmp_path / "out" / "sweep.png").unlink()
    again = sweep(tmp_path, *short)
    assert "0 of 37 cells to do" in again.output
    for figure in ("sweep.png", "steps.png"):
        assert (tmp_path / "out" / figure).stat().st_size > 1000
    small_set(tmp_path, n=50)  # other pictures under the same names
    other = sweep(tmp_path, *short, "--ratios", "10,33")
    assert isinstance(other.exception, ConfigError)
    assert "of these pictures" in str(other.exception)


@pytest.mark.parametrize(
    ("said", "encoder", "model"),
    [
        ("pixels", "pixels", None),
        ("efficientnet-lite0", "efficientnet-lite0", None),
        ("vgg16", "torchvision", "vgg16.IMAGENET1K_V1"),
        ("vgg16=/models/vgg16.pth", "torchvision", "vgg16:/models/vgg16.pth"),
        (
            "open-clip=ViT-B-32:/models/b32.safetensors",
            "open-clip",
            "ViT-B-32:/models/b32.safetensors",
        ),
    ],
)
def test_a_representation_is_an_encoder_of_a_job(said, encoder, model):
    made = EmbedConfig(**embedding("cifar10", said))
    assert (made.encoder, made.model) == (encoder, model)


@pytest.mark.parametrize(
    "words",
    [
        ("--ratios", "0"),
        ("--ratios", "25,101"),
        ("--ratios", "25;50"),
        ("--clusters", "2.5"),
        ("--clusters", "0"),
        ("--steps", "0"),
        ("--steps", ""),
        ("--at-ratio", "0.5"),
        ("--at-clusters", "0"),
        ("--methods", "cossim/rare"),
    ],
)
def test_numbers_that_cannot_be_are_refused_before_anything_is_written(tmp_path, words):
    shown = sweep(tmp_path, *words)
    assert shown.exit_code == 2, shown.output
    assert words[0] in shown.output
    assert not (tmp_path / "out").exists()
